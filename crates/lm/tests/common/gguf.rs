//! GGUF files for tests, written as the format says.

#![allow(dead_code, reason = "not every test uses all of it")]

use lm::{Model, Packing};

/// A GGUF file: named values, and tensors of (name, dims as in the file, packing, bytes).
pub(crate) struct Gguf {
    pub(crate) values: Vec<(String, Vec<u8>)>,
    pub(crate) tensors: Vec<(String, Vec<u64>, Packing, Vec<u8>)>,
}

pub(crate) fn gguf_text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

impl Gguf {
    /// The model in a file of this architecture, its matrices packed.
    pub(crate) fn of(model: &Model, architecture: &str, packing: Packing) -> Gguf {
        let c = model.config();
        let mut file = Gguf { values: Vec::new(), tensors: Vec::new() };
        file.value("general.architecture", 8, &gguf_text(architecture));
        for (name, n) in [
            ("embedding_length", c.width),
            ("block_count", c.layers),
            ("feed_forward_length", c.hidden),
            ("attention.head_count", c.heads),
            ("attention.head_count_kv", c.kv_heads),
            ("attention.key_length", c.head_dim),
            ("context_length", c.context),
        ] {
            file.value(&format!("{architecture}.{name}"), 4, &(n as u32).to_le_bytes());
        }
        file.value(&format!("{architecture}.rope.freq_base"), 6, &c.rope_theta.to_le_bytes());
        file.value(&format!("{architecture}.attention.layer_norm_rms_epsilon"), 6, &c.norm_eps.to_le_bytes());
        for parameter in c.parameters() {
            let mut numbers = model.weight(&parameter.name).unwrap();
            let mut dims = parameter.dims.clone();
            if dims.len() == 2 && parameter.name != "model.embed_tokens.weight" {
                // Ours are [in, out]: in this order they are as the file says its axes, but the numbers stand the other way round.
                let (rows, columns) = (dims[0], dims[1]);
                numbers = (0..columns * rows).map(|i| numbers[i % rows * columns + i / rows]).collect();
            } else {
                dims.reverse();
            }
            let name =
                parameter.name.replace("model.layers.", "blk.").replace("model.embed_tokens", "token_embd");
            let name = name.replace("model.norm", "output_norm").replace("lm_head", "output");
            let name =
                name.replace("input_layernorm", "attn_norm").replace("post_attention_layernorm", "ffn_norm");
            let name = name
                .replace("self_attn.o_proj", "attn_output")
                .replace("self_attn.", "attn_")
                .replace("mlp.", "ffn_")
                .replace("_proj", "");
            if architecture == "llama" && (name.contains("attn_q.") || name.contains("attn_k.")) {
                let row = numbers.len() / (dims[1]);
                let woven: Vec<usize> = (0..dims[1])
                    .map(|to| {
                        let (head, i) = (to / c.head_dim, to % c.head_dim);
                        head * c.head_dim + i / 2 + i % 2 * (c.head_dim / 2)
                    })
                    .collect();
                numbers = woven.iter().flat_map(|from| numbers[from * row..][..row].to_vec()).collect();
            }
            let (packing, bytes) =
                if dims.len() == 2 { pack(packing, &numbers) } else { pack(Packing::F32, &numbers) };
            file.tensors.push((name, dims.iter().map(|d| *d as u64).collect(), packing, bytes));
        }
        file
    }

    pub(crate) fn value(&mut self, name: &str, kind: u32, bytes: &[u8]) {
        self.values.push((name.to_owned(), [&kind.to_le_bytes()[..], bytes].concat()));
    }

    pub(crate) fn texts(&mut self, name: &str, texts: &[String]) {
        let head = [&8u32.to_le_bytes()[..], &(texts.len() as u64).to_le_bytes()].concat();
        let all: Vec<u8> = texts.iter().flat_map(|t| gguf_text(t)).collect();
        self.value(name, 9, &[head, all].concat());
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(3u32.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.values.len() as u64).to_le_bytes());
        for (name, value) in &self.values {
            out.extend(gguf_text(name));
            out.extend(value);
        }
        let mut data = Vec::new();
        for (name, dims, packing, bytes) in &self.tensors {
            out.extend(gguf_text(name));
            out.extend((dims.len() as u32).to_le_bytes());
            out.extend(dims.iter().flat_map(|d| d.to_le_bytes()));
            out.extend(packing.code().to_le_bytes());
            out.extend((data.len() as u64).to_le_bytes());
            data.extend(bytes);
            data.resize(data.len().next_multiple_of(32), 0);
        }
        out.resize(out.len().next_multiple_of(32), 0);
        out.extend(data);
        out
    }
}

/// Numbers packed: whole, or one scale of 1/64 for all and eight bits.
fn pack(packing: Packing, numbers: &[f32]) -> (Packing, Vec<u8>) {
    let bytes = match packing {
        Packing::Q8_0 => numbers
            .chunks(32)
            .flat_map(|block| {
                // 2^-6 as half precision.
                let q = block.iter().map(|n| (n * 64.0).round().clamp(-127.0, 127.0) as i8 as u8);
                [0x00, 0x24].into_iter().chain(q).collect::<Vec<u8>>()
            })
            .collect(),
        _ => numbers.iter().flat_map(|n| n.to_le_bytes()).collect(),
    };
    (packing, bytes)
}
