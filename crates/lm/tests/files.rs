//! Models to files and back; and files that are damaged, or made to harm.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

#[path = "common/gguf.rs"]
mod gguf;

use std::path::{Path, PathBuf};

use exact::{Device, Limits};
use gguf::{Gguf, gguf_text};
use lm::{Alphabet, Chat, Config, Error, Files, Language, Message, Model, Packing, Tokenizer, foreign};
use proptest::prelude::*;
use serde_json::{Value, json};

fn config() -> Config {
    Config {
        vocabulary: 37,
        width: 24,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 8,
        hidden: 40,
        context: 32,
        rope_theta: 500_000.0,
        rope_scaling: lm::RopeScaling::None,
        norm_eps: 1e-5,
        tied: true,
        qkv_bias: false,
        qk_norm: false,
    }
}

fn model(config: Config) -> Model {
    Model::new(config, 7, &Device::cpu(1), Limits::default()).unwrap()
}

fn load(path: &Path) -> Result<Model, Error> {
    Files::open(path)?.load(&Device::cpu(1), Limits::default(), &mut |_, _| {})
}

/// A folder that goes when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("starling-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.at(name)).unwrap()).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn language() -> Language {
    let alphabet = Alphabet::new("abcdefghijklmnopqrstuvwxyz =+?!\n");
    let source = "{% for m in messages %}{{ m.content }}={% endfor %}";
    Language {
        tokenizer: alphabet.tokenizer().unwrap(),
        chat: Some(Chat::new("small", source, &[("eos_token", "<|end|>")]).unwrap()),
        begin: None,
        ends: vec![Alphabet::END],
        pad: Some(Alphabet::PAD),
    }
}

#[test]
fn a_saved_model_is_loaded_to_the_bit() {
    for (i, config) in [
        config(),
        Config { tied: false, ..config() },
        Config { qkv_bias: true, kv_heads: 1, ..config() },
        Config { qk_norm: true, tied: false, ..config() },
    ]
    .into_iter()
    .enumerate()
    {
        let (model, folder) = (model(config.clone()), Folder::new(&format!("saved{i}")));
        for shard_bytes in [u64::MAX, 8_000] {
            let (mut told, mut last) = (0, (0, 0));
            let mut watch = |done, total| {
                told += 1;
                assert!(done > last.0 && done <= total);
                last = (done, total);
            };
            model.save_in_shards(&folder.0, Some(&language()), shard_bytes, &mut watch).unwrap();
            assert_eq!(last, (4 * config.size() as u64, 4 * config.size() as u64));
            assert!(told >= config.parameters().len());
            assert_eq!(folder.at("model.safetensors.index.json").exists(), shard_bytes < u64::MAX);
            let files = Files::open(&folder.0).unwrap();
            assert_eq!(files.config(), &config);
            assert_eq!((files.bytes(), files.kinds()), (4 * config.size() as u64, vec!["F32".to_owned()]));
            let loaded = files.load(&Device::cpu(2), Limits::default(), &mut |_, _| {}).unwrap();
            assert_eq!(loaded.root().unwrap(), model.root().unwrap());
        }
    }
}

#[test]
fn the_language_is_saved_with_the_model() {
    let folder = Folder::new("language");
    let model = model(config());
    model.save(&folder.0, Some(&language())).unwrap();
    let files = Files::open(&folder.0).unwrap();
    let read = files.language().unwrap();
    assert_eq!((read.begin, &read.ends[..], read.pad), (None, &[Alphabet::END][..], Some(Alphabet::PAD)));
    let alphabet = Alphabet::new("abcdefghijklmnopqrstuvwxyz =+?!\n");
    assert_eq!(read.tokenizer.len(), alphabet.len());
    let text = "what is it?\n";
    assert_eq!(read.tokenizer.encode(text).unwrap(), alphabet.encode(text).unwrap());
    let tokens = alphabet.encode(text).unwrap();
    assert_eq!(read.tokenizer.decode(&tokens).unwrap(), alphabet.decode(&tokens));
    let prompt = read.prompt(&[Message::new("user", "abc")]).unwrap();
    assert_eq!(prompt, alphabet.encode("abc=").unwrap());
    // A model without a tokenizer, in the same place, does not inherit it.
    model.save(&folder.0, None).unwrap();
    let error = Files::open(&folder.0).unwrap().language().unwrap_err().to_string();
    assert!(error.contains("tokenizer.json"), "{error}");
}

/// Rewrites the tensors of a saved folder in 16 bits.
fn halve(folder: &Folder, dtype: &str, encode: fn(f32) -> u16) {
    let bytes = std::fs::read(folder.at("model.safetensors")).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    for (name, entry) in header.as_object_mut().unwrap() {
        if name != "__metadata__" {
            entry["dtype"] = json!(dtype);
            let [begin, end] = [0, 1].map(|i| entry["data_offsets"][i].as_u64().unwrap() / 2);
            entry["data_offsets"] = json!([begin, end]);
        }
    }
    let numbers = bytes[8 + length..].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
    let data: Vec<u8> = numbers.flat_map(|n| encode(n).to_le_bytes()).collect();
    std::fs::write(folder.at("model.safetensors"), safetensors(&header.to_string(), &data)).unwrap();
}

fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}

#[test]
fn sixteen_bits_are_read_as_they_are() {
    let original = model(config());
    // Numbers cut to eight bits of fraction, which both kinds hold if they are no smaller than 2^-14.
    let cut = |n: f32| if n.abs() < 2f32.powi(-14) { 0.0 } else { f32::from_bits(n.to_bits() & 0xffff_0000) };
    let upper: fn(f32) -> u16 = |n| (n.to_bits() >> 16) as u16;
    for (dtype, encode) in [("BF16", upper), ("F16", half_of as fn(f32) -> u16)] {
        let folder = Folder::new(dtype);
        original.save(&folder.0, None).unwrap();
        halve(&folder, dtype, encode);
        let loaded = load(&folder.0).unwrap();
        for parameter in config().parameters() {
            let name = &parameter.name;
            let expected = original.weight(name).unwrap();
            for (a, b) in loaded.weight(name).unwrap().iter().zip(expected) {
                if dtype == "BF16" {
                    assert_eq!(a.to_bits(), b.to_bits() & 0xffff_0000, "{name}");
                } else {
                    assert_eq!(a.to_bits(), cut(b).to_bits(), "{name}: {b}");
                }
            }
        }
        assert_eq!(Files::open(&folder.0).unwrap().kinds(), [dtype]);
    }
}

/// A number as half precision, its fraction cut to seven bits, zero if it is small.
fn half_of(n: f32) -> u16 {
    if n.abs() < 2f32.powi(-14) {
        return 0;
    }
    let bits = n.to_bits();
    let exponent = (bits >> 23 & 0xff) - 112;
    (bits >> 16 & 0x8000 | exponent << 10 | bits >> 13 & 0x3f8) as u16
}

#[test]
fn a_damaged_folder_says_which_file_and_what_to_do() {
    let original = model(Config { tied: false, ..config() });
    let check = |name: &str, says: &[&str], harm: &dyn Fn(&Folder)| {
        let folder = Folder::new(name);
        original.save_in_shards(&folder.0, Some(&language()), u64::MAX, &mut |_, _| {}).unwrap();
        harm(&folder);
        let error = load(&folder.0).map(|_| ()).unwrap_err().to_string();
        assert!(says.iter().all(|part| error.contains(part)), "{name}: {error}");
    };
    let edit = |file: &'static str, pointer: &'static str, value: Value| {
        move |folder: &Folder| {
            let mut json = folder.json(file);
            match json.pointer_mut(pointer) {
                Some(place) => *place = value.clone(),
                None => json[&pointer[1..]] = value.clone(),
            }
            std::fs::write(folder.at(file), json.to_string()).unwrap();
        }
    };
    let gone = |file: &'static str| move |folder: &Folder| std::fs::remove_file(folder.at(file)).unwrap();
    let all = |folder: &Folder| std::fs::remove_dir_all(&folder.0).unwrap();
    check("none", &["starling-", "give the folder of a model"], &all);
    check("no config", &["config.json", "fetch the model again"], &gone("config.json"));
    check("no weights", &["model.safetensors", "fetch the file again"], &gone("model.safetensors"));
    check("bad json", &["config.json", "JSON"], &|f| std::fs::write(f.at("config.json"), "{").unwrap());
    check(
        "architecture",
        &["config.json", "model_type", "mamba"],
        &edit("config.json", "/model_type", json!("mamba")),
    );
    check(
        "scaling",
        &["rope_scaling", "yarn"],
        &edit("config.json", "/rope_scaling", json!({ "rope_type": "yarn" })),
    );
    check(
        "shape",
        &["gate_proj", "[40, 24]", "[41, 24]"],
        &edit("config.json", "/intermediate_size", json!(41)),
    );
    check("layers", &["model.layers.2.", "is missing"], &edit("config.json", "/num_hidden_layers", json!(3)));
    check(
        "fewer layers",
        &["model.layers.1.", "no part"],
        &edit("config.json", "/num_hidden_layers", json!(1)),
    );
    check("tokens", &["has tokens up to 33", "only 30"], &|f| {
        edit("config.json", "/vocab_size", json!(30))(f);
    });
    check(
        "tokenizer",
        &["tokenizer.json", "model.type"],
        &edit("tokenizer.json", "/model/type", json!("WordPiece")),
    );
    check("template", &["tokenizer_config.json (chat_template)", "line 1"], &|f| {
        edit("tokenizer_config.json", "/chat_template", json!("{% for %}"))(f);
    });
    check(
        "ends",
        &["generation_config.json", "eos_token_id"],
        &edit("generation_config.json", "/eos_token_id", json!("x")),
    );
    check("cut", &["model.safetensors", "follow the header"], &|f| {
        let bytes = std::fs::read(f.at("model.safetensors")).unwrap();
        std::fs::write(f.at("model.safetensors"), &bytes[..bytes.len() - 4]).unwrap();
    });
    check("very short", &["model.safetensors", "has 3 bytes"], &|f| {
        std::fs::write(f.at("model.safetensors"), [1, 2, 3]).unwrap();
    });
    check("outside", &["index.json", "weight_map", "beside the index"], &|f| {
        std::fs::remove_file(f.at("model.safetensors")).unwrap();
        let index = json!({ "weight_map": { "x": "../other/model.safetensors" } });
        std::fs::write(f.at("model.safetensors.index.json"), index.to_string()).unwrap();
    });
    check("lost shard", &["model-00001-of-00002.safetensors"], &|f| {
        std::fs::remove_file(f.at("model.safetensors")).unwrap();
        let index = json!({ "weight_map": { "x": "model-00001-of-00002.safetensors" } });
        std::fs::write(f.at("model.safetensors.index.json"), index.to_string()).unwrap();
    });
}

#[test]
fn too_large_a_model_is_refused_before_it_is_read() {
    let folder = Folder::new("large");
    model(config()).save(&folder.0, None).unwrap();
    let limits = Limits { memory_bytes: 10_000, ..Limits::default() };
    let error = Files::open(&folder.0).unwrap().load(&Device::cpu(1), limits, &mut |_, _| {}).unwrap_err();
    assert!(error.to_string().contains("raise the limit"), "{error}");
}

#[test]
fn hostile_headers_of_safetensors_are_refused() {
    let entry = |begin: u64, end: u64| json!({ "dtype": "F32", "shape": [(end.wrapping_sub(begin)) / 4], "data_offsets": [begin, end] });
    let refuse = |header: &str, data: usize, says: &str| {
        let error = foreign::safetensors(&safetensors(header, &vec![0; data])).unwrap_err();
        assert!(error.contains(says), "{header}: {error}");
    };
    let two = |a: Value, b: Value| json!({ "a": a, "b": b }).to_string();
    assert_eq!(
        foreign::safetensors(&safetensors(&two(entry(0, 8), entry(8, 12)), &[0; 12])).unwrap().len(),
        2
    );
    assert_eq!(foreign::safetensors(&safetensors("{}", &[])).unwrap(), []);
    refuse(&two(entry(0, 8), entry(4, 12)), 12, "lies at bytes 4");
    refuse(&two(entry(0, 8), entry(0, 8)), 8, "lies at bytes 0");
    refuse(&two(entry(0, 4), entry(8, 12)), 12, "lies at bytes 8");
    refuse(&two(entry(0, 4), entry(4, 8)), 12, "12 follow");
    refuse(
        &json!({ "a": { "dtype": "F32", "shape": [1], "data_offsets": [8, 4] } }).to_string(),
        8,
        "lies at",
    );
    refuse(
        &json!({ "a": { "dtype": "F32", "shape": [3], "data_offsets": [0, 8] } }).to_string(),
        8,
        "does not take",
    );
    refuse(&json!({ "a": { "dtype": "F33", "shape": [2], "data_offsets": [0, 8] } }).to_string(), 8, "F33");
    refuse(
        &json!({ "a": { "dtype": "U8", "shape": [1u64 << 32, 1u64 << 32], "data_offsets": [0, 0] } })
            .to_string(),
        0,
        "does not take",
    );
    refuse(
        &json!({ "a": { "dtype": "U8", "shape": vec![1; 9], "data_offsets": [0, 1] } }).to_string(),
        1,
        "9 axes",
    );
    refuse(
        &json!({ "a": { "dtype": "U8", "shape": [-1], "data_offsets": [0, 1] } }).to_string(),
        1,
        "header",
    );
    refuse(
        &json!({ "a": { "dtype": "U8", "shape": [1], "data_offsets": [0, 1], "run": "me" } }).to_string(),
        1,
        "unknown field",
    );
    refuse(
        r#"{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#,
        0,
        "twice",
    );
    refuse(&"[".repeat(100_000), 0, "header");
    for length in [u64::MAX, 1 << 40, 17 << 20, 3] {
        assert!(foreign::safetensors(&[&length.to_le_bytes()[..], b"{}"].concat()).is_err());
    }
}

/// Numbers that eight bits in steps of 1/64 hold, none of them the negative zero.
fn coarse(mut model: Model) -> Model {
    for parameter in model.config().parameters() {
        let coarse: Vec<f32> =
            model.weight(&parameter.name).unwrap().iter().map(|n| (n * 640.0).round() / 64.0 + 0.0).collect();
        model.set_weight(&parameter.name, &coarse).unwrap();
    }
    model
}

#[test]
fn a_gguf_is_the_model_it_was_made_of() {
    let whole = Config { width: 32, hidden: 64, context: 32, ..config() };
    for (architecture, config) in [
        ("llama", whole.clone()),
        ("llama", Config { tied: false, ..whole.clone() }),
        ("qwen2", Config { qkv_bias: true, ..whole.clone() }),
        ("qwen3", Config { qk_norm: true, ..whole.clone() }),
    ] {
        let original = coarse(model(config.clone()));
        for packing in [Packing::F32, Packing::Q8_0] {
            let folder = Folder::new(&format!("{architecture}{packing:?}"));
            let path = folder.at("model.gguf");
            std::fs::write(&path, Gguf::of(&original, architecture, packing).bytes()).unwrap();
            let files = Files::open(&path).unwrap();
            assert_eq!(files.config(), &config);
            assert!(files.language().is_err());
            let loaded = load(&path).unwrap();
            assert_eq!(loaded.root().unwrap(), original.root().unwrap(), "{architecture} {packing:?}");
        }
    }
}

#[test]
fn a_ggufs_tokenizer_is_read_and_its_faults_are_named() {
    let config = Config { width: 32, hidden: 64, vocabulary: 300, ..config() };
    let original = model(config);
    let plain = Tokenizer::bytes(&["<|end|>"]).unwrap();
    let mut tokens: Vec<String> = (0..257).map(|t| plain.name(t).unwrap()).collect();
    tokens.push("he".to_owned());
    let with = |change: &dyn Fn(&mut Gguf)| {
        let mut file = Gguf::of(&original, "llama", Packing::F32);
        file.value("tokenizer.ggml.model", 8, &gguf_text("gpt2"));
        file.value("tokenizer.ggml.pre", 8, &gguf_text("smollm"));
        file.texts("tokenizer.ggml.tokens", &tokens);
        let kinds: Vec<u8> = (0..258).flat_map(|i| i32::to_le_bytes(if i == 0 { 3 } else { 1 })).collect();
        let head = [&5u32.to_le_bytes()[..], &258u64.to_le_bytes()].concat();
        file.value("tokenizer.ggml.token_type", 9, &[head, kinds].concat());
        file.texts("tokenizer.ggml.merges", &["h e".to_owned()]);
        file.value("tokenizer.ggml.eos_token_id", 4, &0u32.to_le_bytes());
        file.value("tokenizer.chat_template", 8, &gguf_text("{{ messages[0].content }}{{ eos_token }}"));
        change(&mut file);
        let folder = Folder::new("tokenizer");
        std::fs::write(folder.at("model.gguf"), file.bytes()).unwrap();
        Files::open(folder.at("model.gguf"))
    };
    let files = with(&|_| {}).unwrap();
    let language = files.language().unwrap();
    assert_eq!((language.begin, &language.ends[..]), (None, &[0][..]));
    assert_eq!(language.tokenizer.encode("he").unwrap(), [257]);
    assert_eq!(language.prompt(&[Message::new("user", "he")]).unwrap(), [257, 0]);
    let set = |name: &'static str, text: &'static str| {
        move |file: &mut Gguf| {
            file.values.retain(|(n, _)| n != name);
            file.value(name, 8, &gguf_text(text));
        }
    };
    for (change, says) in [
        (set("tokenizer.ggml.model", "llama"), "tokenizer.ggml.scores"),
        (set("tokenizer.ggml.model", "t5"), "gpt2 (byte-level BPE) and llama"),
        (set("tokenizer.ggml.pre", "tekken"), "tokenizer.ggml.pre"),
        (set("tokenizer.ggml.merges", "none"), "tokenizer.ggml.merges"),
        (set("tokenizer.ggml.eos_token_id", "end"), "tokenizer.ggml.eos_token_id"),
        (set("tokenizer.chat_template", "{% if"), "(tokenizer.chat_template)"),
        (set("general.architecture", "mamba"), "general.architecture"),
        (set("general.alignment", "wide"), "general.alignment"),
        (set("llama.rope.scaling.type", "yarn"), "llama.rope.scaling.type"),
        (set("llama.block_count", "two"), "llama.block_count"),
    ] {
        let error = with(&change).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("model.gguf") && error.contains(says), "{says}: {error}");
    }
    let error = with(&|file| {
        let name = file.tensors[2].0.clone();
        file.tensors[1].0 = name;
    })
    .map(|_| ())
    .unwrap_err();
    assert!(error.to_string().contains("twice"), "{error}");
    let error = with(&|file| file.value("x", 13, &[])).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("kind 13"), "{error}");
}

/// Pieces with scores, as files of Llama 2 and Mistral have them.
#[test]
fn pieces_are_joined_by_their_scores() {
    let original = model(Config { width: 32, hidden: 64, vocabulary: 300, ..config() });
    let pieces = ["\u{2581}", "a", "b", "c", "ab", "bc", "abc", "\u{2581}a", "\u{2581}abc", "\n"];
    let mut tokens = ["<unk>", "<s>", "</s>"].map(str::to_owned).to_vec();
    tokens.extend((0..=255).map(|byte| format!("<0x{byte:02X}>")));
    tokens.extend(pieces.map(str::to_owned));
    let of = |piece: &str| tokens.iter().position(|token| token == piece).unwrap() as u32;
    let with = |scores: &[(&str, f32)], change: &dyn Fn(&mut Gguf)| {
        let mut file = Gguf::of(&original, "llama", Packing::F32);
        let list = |kind: u32, bytes: Vec<u8>| {
            [&kind.to_le_bytes()[..], &(tokens.len() as u64).to_le_bytes(), &bytes].concat()
        };
        let kind = |i: usize| [2, 3, 3].get(i).copied().unwrap_or(if i < 259 { 6 } else { 1 });
        let kinds = (0..tokens.len()).flat_map(|i| i32::to_le_bytes(kind(i))).collect();
        let score =
            |token: &String| scores.iter().find(|(piece, _)| piece == token).map_or(-1e9, |(_, s)| *s);
        let scores = tokens.iter().flat_map(|token| f32::to_le_bytes(score(token))).collect();
        file.value("tokenizer.ggml.model", 8, &gguf_text("llama"));
        file.texts("tokenizer.ggml.tokens", &tokens);
        file.value("tokenizer.ggml.token_type", 9, &list(5, kinds));
        file.value("tokenizer.ggml.scores", 9, &list(6, scores));
        file.value("tokenizer.ggml.bos_token_id", 4, &1u32.to_le_bytes());
        file.value("tokenizer.ggml.eos_token_id", 4, &2u32.to_le_bytes());
        change(&mut file);
        let folder = Folder::new("pieces");
        std::fs::write(folder.at("model.gguf"), file.bytes()).unwrap();
        Files::open(folder.at("model.gguf")).map(|files| files.language().unwrap().clone())
    };
    let scores = [("ab", -1.0), ("bc", -2.0), ("abc", -3.0), ("\u{2581}a", -4.0), ("\u{2581}abc", -5.0)];
    let language = with(&scores, &|_| {}).unwrap();
    let tokenizer = &language.tokenizer;
    assert_eq!((language.begin, &language.ends[..]), (Some(1), &[2][..]));
    let cases: [(&str, Vec<u32>); 5] = [
        ("abc", vec![of("\u{2581}abc")]),
        ("a bc", vec![of("\u{2581}a"), of("\u{2581}"), of("bc")]),
        ("bcab", vec![of("\u{2581}"), of("bc"), of("ab")]),
        ("\u{e9}\n", vec![of("\u{2581}"), of("<0xC3>"), of("<0xA9>"), of("\n")]),
        ("a</s>b", vec![of("\u{2581}a"), 2, of("\u{2581}"), of("b")]),
    ];
    for (text, right) in &cases {
        assert_eq!(tokenizer.encode(text).unwrap(), *right, "{text:?}");
    }
    for (text, right) in &cases[..4] {
        assert_eq!(tokenizer.decode(right).unwrap(), *text);
        // Beside others, pieces keep the space before them, and bytes are bytes.
        let words = tokenizer.words().unwrap();
        let bytes: Vec<u8> = right.iter().flat_map(|token| words[*token as usize].clone()).collect();
        assert_eq!(String::from_utf8(bytes).unwrap(), format!(" {text}"));
    }
    assert_eq!(tokenizer.encode_alone("abc").unwrap(), [1, of("\u{2581}abc")]);
    // Other scores, other pieces; and no space before the text where the file says so.
    let scores = [("bc", -1.0), ("ab", -2.0), ("\u{2581}a", -3.0)];
    let language = with(&scores, &|file| {
        file.value("tokenizer.ggml.add_space_prefix", 7, &[0]);
        file.value("tokenizer.ggml.add_bos_token", 7, &[0]);
    });
    let tokenizer = language.unwrap().tokenizer;
    assert_eq!(tokenizer.encode_alone("bab").unwrap(), [of("b"), of("ab")]);
    assert_eq!(tokenizer.encode("babc").unwrap(), [of("b"), of("abc")]);
    assert_eq!(tokenizer.encode("cabcb").unwrap(), [of("c"), of("abc"), of("b")]);
    assert_eq!(tokenizer.encode(" a b").unwrap(), [of("\u{2581}a"), of("\u{2581}"), of("b")]);
    assert_eq!(tokenizer.decode(&[of("\u{2581}a"), of("bc")]).unwrap(), " abc");
    let error = with(&scores, &|file| file.values.retain(|(name, _)| name != "tokenizer.ggml.scores"));
    assert!(error.map(|_| ()).unwrap_err().to_string().contains("tokenizer.ggml.scores"));
}

#[test]
fn no_prefix_of_a_gguf_is_taken_for_a_file() {
    let bytes = Gguf::of(&model(Config { width: 32, hidden: 64, ..config() }), "llama", Packing::F32).bytes();
    assert!(foreign::gguf(&bytes).is_ok());
    for length in (0..bytes.len()).step_by(97).chain([bytes.len() - 1]) {
        assert!(foreign::gguf(&bytes[..length]).is_err(), "{length}");
    }
}

/// Bytes with some of them changed, and perhaps cut.
fn mutated(bytes: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    (changes, any::<prop::sample::Index>(), any::<bool>()).prop_map(move |(changes, end, cut)| {
        let mut bytes = bytes.clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if cut {
            bytes.truncate(end.index(bytes.len()));
        }
        bytes
    })
}

fn small_gguf() -> Vec<u8> {
    let config = Config {
        vocabulary: 8,
        width: 8,
        layers: 1,
        heads: 2,
        kv_heads: 1,
        head_dim: 4,
        hidden: 8,
        ..config()
    };
    let mut file = Gguf::of(&model(config), "llama", Packing::F32);
    file.value("tokenizer.ggml.model", 8, &gguf_text("gpt2"));
    file.texts("tokenizer.ggml.tokens", &["a".to_owned(), "b".to_owned(), "ab".to_owned()]);
    file.texts("tokenizer.ggml.merges", &["a b".to_owned()]);
    file.bytes()
}

fn small_tokenizer() -> Vec<u8> {
    let json = Tokenizer::characters(&["<|end|>"], &['a', 'b']).unwrap().to_json().unwrap();
    let mut json: Value = serde_json::from_str(&json).unwrap();
    json["model"]["vocab"]["ab"] = json!(3);
    json["model"]["merges"] = json!(["a b"]);
    json["normalizer"] = json!({ "type": "NFC" });
    json["pre_tokenizer"] = json!({ "type": "Split", "pattern": { "Regex": "\\s+(?!\\S)|\\s+|[ab]+" }, "behavior": "Isolated", "invert": false });
    json.to_string().into_bytes()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_a_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = foreign::safetensors(&bytes);
        let _ = foreign::gguf(&[b"GGUF\x03\0\0\0", &bytes[..]].concat());
        let _ = foreign::gguf(&bytes);
        let _ = foreign::config(&bytes);
        let _ = Tokenizer::from_json(&bytes, "x");
        let _ = Chat::new("x", &String::from_utf8_lossy(&bytes), &[]);
    }

    #[test]
    fn nearly_good_files_make_no_parser_panic(
        gguf in mutated(small_gguf()),
        tokenizer in mutated(small_tokenizer()),
        config in mutated(br#"{"model_type":"llama","vocab_size":9,"hidden_size":8,"num_hidden_layers":1,"num_attention_heads":2,"intermediate_size":8,"max_position_embeddings":9}"#.to_vec()),
        header in mutated(br#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F16","shape":[1,3],"data_offsets":[8,14]}}"#.to_vec()),
        template in mutated(b"{% for m in messages %}{{ m.role.upper() ~ m['content'] | tojson }}{% endfor %}".to_vec()),
    ) {
        let _ = foreign::gguf(&gguf);
        if let Ok(tokenizer) = Tokenizer::from_json(&tokenizer, "x") {
            if let Ok(tokens) = tokenizer.encode("ab <|end|>\u{e9} ba") {
                let _ = tokenizer.decode(&tokens);
            }
            let _ = tokenizer.decode(&[0, 1, 2, 3, 4, u32::MAX]);
        }
        let _ = foreign::config(&config);
        let _ = foreign::safetensors(&[&(header.len() as u64).to_le_bytes()[..], &header, &[0; 14]].concat());
        if let Ok(chat) = Chat::new("x", &String::from_utf8_lossy(&template), &[]) {
            let _ = chat.render(&[Message::new("user", "hi")], true);
        }
    }
}
