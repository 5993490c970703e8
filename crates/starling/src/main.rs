fn main() -> Result<(), lm::Error> {
    use lm::*;
    use exact::*;
    let alphabet = Alphabet::new("abcdefghijklmnopqrstuvwxyz=");
    let config = Config { vocabulary: alphabet.len(), width: 128, layers: 3, heads: 4, kv_heads: 4, head_dim: 32, hidden: 352, context: 32, rope_theta: 10_000.0, norm_eps: 1e-6, tied: true, qkv_bias: false, qk_norm: false };
    println!("{} parameters", config.size());
    let device = Device::cpu(2);
    let lim = Limits::default();
    let model = Model::new(config, 1, &device, lim)?;
    let mut state = 88172645463325252u64;
    let mut word = move || -> (String,u64) { let mut nx=||{state^=state<<13;state^=state>>7;state^=state<<17;state>>11}; let n=3+nx()%6; ((0..n).map(|_| (b'a'+(nx()%26) as u8) as char).collect(), nx()) };
    let mut learner = Learner::new(&model, Objective::Imitate, &Optimiser{muon:true,..Default::default()}, 64, 20, lim)?;
    let t0=std::time::Instant::now();
    let av: Vec<f32> = std::env::args().skip(1).map(|a| a.parse().unwrap()).collect();
    let warm = av[0] as usize;
    for step in 0..warm {
        let ex: Vec<_> = (0..64).map(|_| { let (w,_)=word(); let r: String=w.chars().rev().collect(); let mut a=alphabet.encode(&r).unwrap(); a.push(Alphabet::END); (alphabet.encode(&format!("{w}=")).unwrap(), a) }).collect();
        let f = 1.0 - step as f32/ warm as f32;
        let p = learner.learn(&Batch::imitate(&ex,64,20)?, av[1]*f, av[2]*f)?;
        if step%10==9 { println!("warm {step} {p:?} {:.1}s", t0.elapsed().as_secs_f32()); }
    }
    let mut st2 = 7u64; let rows=384;
    { let mut sp = Speaker::new(&model, rows, 9, 10, Alphabet::END, lim)?; let mut prompts=vec![]; let mut truth=vec![];
      for _ in 0..384 { let (w,s)=word(); prompts.push((alphabet.encode(&format!("{w}="))?, s)); truth.push(w.chars().rev().collect::<String>()); }
      for s in [Sampling::GREEDY, Sampling::PLAIN] { let r = sp.answer(&prompts, s)?; println!("accuracy {:?} {}", s, r.iter().zip(&truth).filter(|(r,t)| r.answer.last()==Some(&Alphabet::END) && alphabet.decode(&r.answer)==**t).count() as f32/384.0); } }
    let mut speaker = Speaker::new(&model, rows, 9, 10, Alphabet::END, lim)?;
    let mut checker = Checker::new(&model, 8, 20, lim)?;
    let mut better = Learner::new(&model, Objective::IMPROVE, &Optimiser::default(), rows, 20, lim)?;
    for step in 0..(av[3] as usize) {
        let mut prompts=vec![]; let mut truth=vec![];
        let fixed = std::env::var("FIX").is_ok(); if fixed { st2 = 7; } for _ in 0..24 { let (mut w,s)=word(); if fixed { w = (0..5).map(|_| { st2 = st2*48271%2147483647; (b'a'+(st2%26) as u8) as char }).collect(); } for i in 0..16 { prompts.push((alphabet.encode(&format!("{w}="))?, s.wrapping_add(i))); truth.push(w.chars().rev().collect::<String>()); } }
        let ts=std::time::Instant::now();
        let rollouts = speaker.answer(&prompts, Sampling::PLAIN)?;
        let tspeak=ts.elapsed();
        let rewards: Vec<f32> = rollouts.iter().zip(&truth).map(|(r,t)| if r.answer.last()==Some(&Alphabet::END) && alphabet.decode(&r.answer)==*t {1.0} else {0.0}).collect();
        let mean: f32 = rewards.iter().sum::<f32>()/rewards.len() as f32;
        let mut pick=vec![];
        for g in 0..24 { if let Some(a)=advantages(&rewards[g*16..g*16+16]) { for i in 0..16 { pick.push((&rollouts[g*16+i], a[i])); } } }
        let tl=std::time::Instant::now();
        let lr=3e-4*((step+1) as f32/10.0).min(1.0);
        let p = if pick.is_empty() {None} else {Some(better.learn(&Batch::improve(&pick,rows,20)?, lr, 0.0)?)};
        if step%10==0 && std::env::var("DBG").is_ok() {
            let mut d=0.0; let mut dn=0.0; let mut dp=0.0;
            for (r,a) in &pick { if let Finding::Logp{at, claimed, right} = checker.check(&[(*r).clone()])?[0] { let x=*a*(right-claimed); d+=x; if *a>0.0 {dp+=right-claimed} else {dn+=right-claimed}; let _=at; } }
            println!("sum adv*dlogp {d} pos {dp} neg {dn} of {}", pick.len());
        }
        if step==0 { 
            // weights moved: the rollouts no longer hold
            println!("{:?}", &checker.check(&rollouts[..8])?); 
            let again = speaker.answer(&prompts, Sampling::PLAIN)?; println!("{:?}", checker.check(&again[..8])?); }
        if step%5==4||step<3 { println!("rl {step} reward {mean:.3} {p:?} speak {:?} learn {:?} total {:.1}s", tspeak, tl.elapsed(), t0.elapsed().as_secs_f32()); }
    }
    Ok(())
}
