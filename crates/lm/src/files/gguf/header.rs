//! The head of a GGUF file: what it says of itself by name, and where its tensors lie. Every length is checked against the bytes that
//! are left before anything is made for it.

use std::collections::HashMap;
use std::io::Read;

use super::blocks::Packing;

/// The longest head: names of a quarter of a million tokens have about 10 MB.
pub(super) const HEAD_BYTES: u64 = 128 << 20;
/// The most named values, tensors, and elements of a list.
const KEYS: u64 = 1 << 16;
const TENSORS: u64 = 1 << 16;
const ELEMENTS: u64 = 1 << 22;
/// The longest name of a value or a tensor.
const NAME_BYTES: u64 = 1 << 10;
const AXES: u32 = 4;

/// What stands under a name.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Count(u64),
    Number(f64),
    Flag(bool),
    Text(String),
    Texts(Vec<String>),
    Numbers(Vec<f64>),
}

/// A tensor's place and form.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    /// The slowest axis first, as everywhere but in the file.
    pub(super) dims: Vec<u64>,
    pub(super) packing: Packing,
    /// Where it begins after the head.
    pub(super) begin: u64,
    pub(super) bytes: u64,
}

/// The head of a file.
#[derive(Debug, Default)]
pub(super) struct Header {
    pub(super) values: HashMap<String, Value>,
    pub(super) tensors: HashMap<String, Entry>,
    /// Where the first tensor begins.
    pub(super) data: u64,
}

impl Header {
    /// Reads the head of a file of `length` bytes.
    pub(super) fn read(from: impl Read, length: u64) -> Result<Header, String> {
        let limit = length.min(HEAD_BYTES);
        let mut bytes = Bytes { from: from.take(limit), left: limit };
        if bytes.take::<4>()? != *b"GGUF" {
            return Err("it does not begin with GGUF".to_owned());
        }
        let version = bytes.u32()?;
        if !(2..=3).contains(&version) {
            return Err(format!("it is of version {version}: 2 and 3 can be read"));
        }
        let (tensors, keys) = (bytes.u64()?, bytes.u64()?);
        if tensors > TENSORS || keys > KEYS {
            return Err(format!(
                "it has {tensors} tensors and {keys} values; at most {TENSORS} and {KEYS} are allowed"
            ));
        }
        let mut header = Header::default();
        for _ in 0..keys {
            let name = bytes.text(NAME_BYTES)?;
            let value = bytes.value().map_err(|why| format!("{name}: {why}"))?;
            if header.values.insert(name.clone(), value).is_some() {
                return Err(format!("{name:?} stands there twice"));
            }
        }
        for _ in 0..tensors {
            let name = bytes.text(NAME_BYTES)?;
            let entry = bytes.entry().map_err(|why| format!("tensor {name}: {why}"))?;
            if header.tensors.insert(name.clone(), entry).is_some() {
                return Err(format!("tensor {name:?} stands there twice"));
            }
        }
        let alignment = match header.values.get("general.alignment") {
            None => 32,
            Some(Value::Count(n)) if n.is_power_of_two() && *n <= 1 << 16 => *n,
            Some(other) => {
                return Err(format!("general.alignment is {other:?}: it must be a power of two up to 65536"));
            }
        };
        header.data = (limit - bytes.left).next_multiple_of(alignment);
        header.check_places(length, alignment)?;
        Ok(header)
    }

    /// That every tensor lies within the file and none over another.
    fn check_places(&self, length: u64, alignment: u64) -> Result<(), String> {
        let data = length.saturating_sub(self.data);
        let mut order: Vec<(&String, &Entry)> = self.tensors.iter().collect();
        order.sort_by_key(|(name, entry)| (entry.begin, entry.bytes, *name));
        let mut at = 0;
        for (name, entry) in order {
            let end = entry.begin.checked_add(entry.bytes).filter(|end| *end <= data);
            let Some(end) = end.filter(|_| entry.begin.is_multiple_of(alignment)) else {
                return Err(format!(
                    "tensor {name} of {} bytes at {}: {data} bytes follow the head, in steps of {alignment}; the file may be cut short",
                    entry.bytes, entry.begin
                ));
            };
            if entry.begin < at {
                return Err(format!(
                    "tensor {name} at {} lies over the one before it, which ends at {at}",
                    entry.begin
                ));
            }
            at = end;
        }
        Ok(())
    }
}

fn short() -> String {
    format!("its head ends early: it is cut short, or longer than the {HEAD_BYTES} bytes that are allowed")
}

/// The bytes of the head, as many as are left.
struct Bytes<R> {
    from: R,
    left: u64,
}

impl<R: Read> Bytes<R> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), String> {
        self.left = self.left.checked_sub(bytes.len() as u64).ok_or_else(short)?;
        self.from.read_exact(bytes).map_err(|e| format!("its head cannot be read: {e}"))
    }

    fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.take()?))
    }

    fn u64(&mut self) -> Result<u64, String> {
        Ok(u64::from_le_bytes(self.take()?))
    }

    fn text(&mut self, limit: u64) -> Result<String, String> {
        let length = self.u64()?;
        if length > limit.min(self.left) {
            return Err(format!(
                "a text of {length} bytes; {} are left, and at most {limit} are allowed",
                self.left
            ));
        }
        let mut bytes = vec![0; length as usize];
        self.fill(&mut bytes)?;
        // Pieces of characters are tokens in some files: what is no text reads as that sign.
        Ok(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
    }

    fn value(&mut self) -> Result<Value, String> {
        let kind = self.u32()?;
        if kind != 9 {
            return self.single(kind);
        }
        let (kind, count) = (self.u32()?, self.u64()?);
        let least = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            8 | 10..=12 => 8,
            other => return Err(format!("a list of values of kind {other}, which cannot be read")),
        };
        if count > ELEMENTS.min(self.left / least) {
            return Err(format!(
                "a list of {count}; {} bytes are left, and at most {ELEMENTS} are allowed",
                self.left
            ));
        }
        if kind == 8 {
            return Ok(Value::Texts((0..count).map(|_| self.text(self.left)).collect::<Result<_, _>>()?));
        }
        let number = |value| match value {
            Value::Count(n) => n as f64,
            Value::Flag(flag) => f64::from(u8::from(flag)),
            Value::Number(n) => n,
            _ => f64::NAN,
        };
        Ok(Value::Numbers((0..count).map(|_| self.single(kind).map(number)).collect::<Result<_, _>>()?))
    }

    fn single(&mut self, kind: u32) -> Result<Value, String> {
        let signed = |n: i64| u64::try_from(n).map_or(Value::Number(n as f64), Value::Count);
        Ok(match kind {
            0 => Value::Count(u64::from(self.take::<1>()?[0])),
            1 => signed(i64::from(i8::from_le_bytes(self.take()?))),
            2 => Value::Count(u64::from(u16::from_le_bytes(self.take()?))),
            3 => signed(i64::from(i16::from_le_bytes(self.take()?))),
            4 => Value::Count(u64::from(self.u32()?)),
            5 => signed(i64::from(i32::from_le_bytes(self.take()?))),
            6 => Value::Number(f64::from(f32::from_le_bytes(self.take()?))),
            7 => match self.take::<1>()?[0] {
                flag @ 0..=1 => Value::Flag(flag == 1),
                other => return Err(format!("a flag that is {other}")),
            },
            8 => Value::Text(self.text(self.left)?),
            10 => Value::Count(self.u64()?),
            11 => signed(i64::from_le_bytes(self.take()?)),
            12 => Value::Number(f64::from_le_bytes(self.take()?)),
            other => return Err(format!("a value of kind {other}, which cannot be read")),
        })
    }

    fn entry(&mut self) -> Result<Entry, String> {
        let axes = self.u32()?;
        if axes > AXES {
            return Err(format!("it has {axes} axes; at most {AXES} are allowed"));
        }
        let mut dims = (0..axes).map(|_| self.u64()).collect::<Result<Vec<_>, _>>()?;
        dims.reverse();
        let (code, begin) = (self.u32()?, self.u64()?);
        let packing = Packing::of_code(code).ok_or_else(|| {
            let known: Vec<String> = Packing::ALL.iter().map(|p| format!("{p:?}")).collect();
            format!("its numbers are packed in a way ({code}) that is not known: {} are", known.join(", "))
        })?;
        let columns = dims.last().copied().unwrap_or(1);
        if !columns.is_multiple_of(packing.numbers() as u64) {
            return Err(format!("its rows of {columns} are no whole blocks of {}", packing.numbers()));
        }
        let numbers = dims.iter().try_fold(1u64, |n, d| n.checked_mul(*d));
        let bytes = numbers.and_then(|n| (n / packing.numbers() as u64).checked_mul(packing.bytes() as u64));
        let bytes =
            bytes.ok_or_else(|| format!("its shape {dims:?} is beyond anything that could be read"))?;
        Ok(Entry { dims, packing, begin, bytes })
    }
}
