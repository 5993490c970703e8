//! Loading takes the model's own size and at most a tenth more. Alone in its program, since it counts every allocation.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use exact::{Device, Limits};
use lm::{Config, Files};
use serde_json::json;

/// The system's allocator, and how much was held at most.
struct Counted;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        MOST.fetch_max(HELD.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        MOST.fetch_max(HELD.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(ptr, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Counted = Counted;

/// A model of 48 million numbers; with `LM_LOAD=large` one of 494 million, shaped as Qwen2.5-0.5B.
///
/// A third of it is the embedding: what holds a tensor twice shows.
fn config() -> Config {
    let small = Config {
        vocabulary: 32_000,
        width: 512,
        layers: 12,
        heads: 8,
        kv_heads: 2,
        head_dim: 64,
        hidden: 1408,
        context: 1024,
        rope_theta: 10_000.0,
        rope_scaling: lm::RopeScaling::None,
        norm_eps: 1e-6,
        tied: true,
        qkv_bias: true,
        qk_norm: false,
    };
    match std::env::var("LM_LOAD").as_deref() {
        Ok("large") => {
            Config { vocabulary: 151_936, width: 896, layers: 24, heads: 14, hidden: 4864, ..small }
        }
        _ => small,
    }
}

#[test]
fn a_model_is_loaded_in_its_own_size() {
    let config = config();
    let folder = std::env::temp_dir().join(format!("starling-memory-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (mut tensors, mut at) = (serde_json::Map::new(), 0);
    for parameter in config.parameters() {
        let mut dims = parameter.dims.clone();
        if dims.len() == 2 && parameter.name != "model.embed_tokens.weight" {
            dims.reverse();
        }
        let end = at + 2 * dims.iter().product::<usize>();
        tensors.insert(parameter.name, json!({ "dtype": "BF16", "shape": dims, "data_offsets": [at, end] }));
        at = end;
    }
    let header = serde_json::Value::from(tensors).to_string();
    let mut file = File::create(folder.join("model.safetensors")).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    // Zeros, of which the disk keeps no more than their number.
    file.set_len((8 + header.len() + at) as u64).unwrap();
    let json = json!({
        "model_type": "qwen2", "vocab_size": config.vocabulary, "hidden_size": config.width,
        "num_hidden_layers": config.layers, "num_attention_heads": config.heads, "head_dim": config.head_dim,
        "num_key_value_heads": config.kv_heads, "intermediate_size": config.hidden, "tie_word_embeddings": true,
        "max_position_embeddings": config.context,
    });
    std::fs::write(folder.join("config.json"), json.to_string()).unwrap();

    let files = Files::open(&folder).unwrap();
    let before = HELD.load(Relaxed);
    MOST.store(before, Relaxed);
    let begin = std::time::Instant::now();
    let model = files.load(&Device::cpu(1), Limits::default(), &mut |_, _| {}).unwrap();
    let (most, size) = (MOST.load(Relaxed) - before, 4 * config.size());
    let share = most as f64 / size as f64;
    eprintln!(
        "{} million numbers: {share:.3} of their size, {:.1?}",
        config.size() / 1_000_000,
        begin.elapsed()
    );
    assert!(most >= size && most <= size + size / 10, "{most} bytes for a model of {size}");
    assert_eq!(model.config(), files.config());
    std::fs::remove_dir_all(folder).unwrap();
}
