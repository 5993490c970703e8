use exact::*;
#[test]
fn attention_grad_smoke() {
    let mut b = Builder::new();
    let q = b.state::<f32>("q", &[2, 3, 4, 6]).unwrap();
    let k = b.state::<f32>("k", &[2, 5, 2, 6]).unwrap();
    let v = b.state::<f32>("v", &[2, 5, 2, 6]).unwrap();
    let s = b.input::<u32>("s", &[2]).unwrap();
    let o = b.attention(q, k, v, s, 0.4, true).unwrap();
    let o2 = b.mul(o, o).unwrap();
    let l = b.sum_all(o2).unwrap();
    let g = b.gradients(l, &[q, k, v]).unwrap();
    b.output("dq", g[0]).unwrap();
    b.output("dk", g[1]).unwrap();
    b.output("l", l).unwrap();
    let p = b.finish().unwrap();
    println!("{p}");
    assert_eq!(Program::decode(&p.encode()).unwrap(), p);
    let mut s = Session::new(&p, &Device::cpu(2), Limits::default()).unwrap();
    let data: Vec<f32> = (0..144).map(|i| ((i * 37 % 19) as f32 - 9.0) / 7.0).collect();
    s.write("q", &data).unwrap();
    s.write("k", &data[..120]).unwrap();
    s.write("v", &data[20..140]).unwrap();
    s.write("s", &[1u32, 2]).unwrap();
    s.run().unwrap();
    println!("{:?} {:?}", s.read::<f32>("l").unwrap(), &s.read::<f32>("dk").unwrap()[..8]);
}
