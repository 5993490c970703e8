//! `session.jsonl.zst`: a recording as bytes.
//!
//! A Zstandard file of JSON lines. While a session goes on every event is a frame of its own, so that a program killed at any
//! moment leaves a file that reads up to its last whole event; when it ends, all becomes one frame. `docs/assist.md` has the lines in words.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use ruzstd::decoding::StreamingDecoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde::{Deserialize, Serialize};

use crate::MAX_TEXT_BYTES;
use crate::error::Error;
use crate::event::{Act, Event};
use crate::recording::{Header, Recording};
use crate::world::{Actor, Block, Bounds, Cell, World};

/// The format's number, in the first line.
const FORMAT: u32 = 1;
/// The longest line.
const MAX_LINE_BYTES: usize = 16 << 10;
/// The most events of a session.
const MAX_EVENTS: usize = 1 << 20;
/// The largest file.
const MAX_FILE_BYTES: u64 = 64 << 20;
/// The most that a file may hold when it is unpacked.
const MAX_TEXT: usize = 128 << 20;
/// The most kinds of blocks, air among them.
const MAX_PALETTE: usize = 256;
/// The longest name of a player, a block or a model.
const MAX_NAME_BYTES: usize = 128;

#[derive(Serialize, Deserialize)]
struct HeaderLine {
    starling_session: u32,
    #[serde(default)]
    player: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    floor: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bounds: Option<[[i32; 3]; 2]>,
    palette: Vec<String>,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    model: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Who {
    Player,
    Assistant,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Doing {
    Place,
    Break,
    Move,
    Ghost,
    Accept,
    Reject,
    Say,
    Stop,
    Resume,
}

#[derive(Serialize, Deserialize)]
struct EventLine {
    t: u64,
    who: Who,
    r#do: Doing,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<[i32; 3]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    block: Option<u8>,
    /// What stood there before. For whoever reads the file: playing the events again gives it as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    was: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sure: Option<f32>,
}

fn cell([x, y, z]: [i32; 3]) -> Cell {
    Cell { x, y, z }
}

fn header_line(header: &Header) -> Result<String, Error> {
    let corner = |c: Cell| [c.x, c.y, c.z];
    let line = HeaderLine {
        starling_session: FORMAT,
        player: header.player.clone(),
        floor: header.floor,
        bounds: header.bounds.map(|b| [corner(b.low), corner(b.high)]),
        palette: header.palette.clone(),
        seed: header.seed,
        model: header.model.clone(),
    };
    text(&line)
}

fn text(line: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(line).map_err(|why| Error::Recording { why: why.to_string() })
}

fn read_header(line: &str) -> Result<Header, String> {
    let h: HeaderLine = serde_json::from_str(line).map_err(|why| why.to_string())?;
    if h.starling_session != FORMAT {
        return Err(format!("format {} is not known here: {FORMAT} is", h.starling_session));
    }
    if !(2..=MAX_PALETTE).contains(&h.palette.len()) {
        return Err(format!(
            "a palette of {} blocks: it has air and up to {} more",
            h.palette.len(),
            MAX_PALETTE - 1
        ));
    }
    if h.palette.iter().chain([&h.player, &h.model]).any(|name| name.len() > MAX_NAME_BYTES) {
        return Err(format!("a name is longer than {MAX_NAME_BYTES} bytes"));
    }
    let bounds = h.bounds.map(|[low, high]| Bounds { low: cell(low), high: cell(high) });
    if h.floor.is_some_and(|f| f.abs() > Cell::FARTHEST) {
        return Err("the floor is out of the world".to_owned());
    }
    Ok(Header { player: h.player, floor: h.floor, bounds, palette: h.palette, seed: h.seed, model: h.model })
}

fn event_line(event: &Event, before: &World) -> Result<String, Error> {
    let (doing, at, block, said) = match &event.act {
        Act::Place { at, block } => (Doing::Place, Some(*at), Some(*block), None),
        Act::Break { at } => (Doing::Break, Some(*at), None, None),
        Act::Move { at } => (Doing::Move, Some(*at), None, None),
        Act::Ghost { at, block } => (Doing::Ghost, Some(*at), Some(*block), None),
        Act::Accept { at } => (Doing::Accept, Some(*at), None, None),
        Act::Reject { at } => (Doing::Reject, Some(*at), None, None),
        Act::Say { text } => (Doing::Say, None, None, Some(text.clone())),
        Act::Stop => (Doing::Stop, None, None, None),
        Act::Resume => (Doing::Resume, None, None, None),
    };
    let changes = matches!(doing, Doing::Place | Doing::Break);
    let was = at.filter(|_| changes).map(|at| before.block(at).0);
    let who = match event.who {
        Actor::Player => Who::Player,
        Actor::Assistant => Who::Assistant,
    };
    let at = at.map(|c| [c.x, c.y, c.z]);
    text(&EventLine {
        t: event.time_ms,
        who,
        r#do: doing,
        at,
        block: block.map(|b| b.0),
        was,
        text: said,
        sure: event.sure,
    })
}

fn read_event(line: &str, palette: usize) -> Result<Event, String> {
    let e: EventLine = serde_json::from_str(line).map_err(|why| why.to_string())?;
    let place = || {
        let at = cell(e.at.ok_or("it does not say where: \"at\" is missing")?);
        if at.is_near_origin() { Ok(at) } else { Err("that place is out of the world".to_owned()) }
    };
    let solid = || match e.block {
        Some(block) if (1..palette).contains(&usize::from(block)) => Ok(Block(block)),
        Some(block) => Err(format!("block {block} is not in the palette")),
        None => Err("it does not say what: \"block\" is missing".to_owned()),
    };
    let act = match e.r#do {
        // Putting air is breaking, as some recorders have it.
        Doing::Place if e.block == Some(0) => Act::Break { at: place()? },
        Doing::Place => Act::Place { at: place()?, block: solid()? },
        Doing::Break => Act::Break { at: place()? },
        Doing::Move => Act::Move { at: place()? },
        Doing::Ghost => Act::Ghost { at: place()?, block: solid()? },
        Doing::Accept => Act::Accept { at: place()? },
        Doing::Reject => Act::Reject { at: place()? },
        Doing::Say => {
            let text = e.text.unwrap_or_default();
            if text.len() > MAX_TEXT_BYTES {
                return Err(format!("a text of more than {MAX_TEXT_BYTES} bytes"));
            }
            Act::Say { text }
        }
        Doing::Stop => Act::Stop,
        Doing::Resume => Act::Resume,
    };
    let who = match e.who {
        Who::Player => Actor::Player,
        Who::Assistant => Actor::Assistant,
    };
    if e.sure.is_some_and(|s| !(0.0..=1.0).contains(&s)) {
        return Err("\"sure\" is not from 0 to 1".to_owned());
    }
    Ok(Event { time_ms: e.t, who, act, sure: e.sure })
}

impl Recording {
    /// The recording in these JSON lines.
    pub fn from_lines(text: &str) -> Result<Recording, Error> {
        let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let wrong = |line: usize, why: String| Error::Line { line: line + 1, why };
        let Some((first, line)) = lines.next() else {
            return Err(Error::Recording { why: "there is nothing in it".to_owned() });
        };
        let header = read_header(line).map_err(|why| wrong(first, why))?;
        let mut events = Vec::new();
        for (number, line) in lines {
            if line.len() > MAX_LINE_BYTES {
                return Err(wrong(number, format!("it is longer than {MAX_LINE_BYTES} bytes")));
            }
            if events.len() == MAX_EVENTS {
                return Err(wrong(number, format!("a session has at most {MAX_EVENTS} events")));
            }
            events.push(read_event(line, header.palette.len()).map_err(|why| wrong(number, why))?);
        }
        Ok(Recording { header, events })
    }

    /// As JSON lines.
    pub fn to_lines(&self) -> Result<String, Error> {
        let mut out = header_line(&self.header)?;
        out.push('\n');
        let mut world = self.world();
        for event in &self.events {
            out.push_str(&event_line(event, &world)?);
            out.push('\n');
            world.apply(event);
        }
        Ok(out)
    }

    /// The recording in these bytes of a `session.jsonl.zst`, or of the same lines as they are. A file of frames that was cut short is
    /// read as far as it goes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Recording, Error> {
        let unpacked = if bytes.first() == Some(&b'{') { None } else { Some(unpack(bytes)?) };
        let text = match std::str::from_utf8(unpacked.as_deref().unwrap_or(bytes)) {
            Ok(text) => text,
            Err(why) => return Err(Error::Recording { why: format!("it is no text: {why}") }),
        };
        Recording::from_lines(text)
    }

    /// As one frame.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        Ok(compress_to_vec(self.to_lines()?.as_bytes(), CompressionLevel::Fastest))
    }

    /// The recording in a file.
    pub fn open(path: &Path) -> Result<Recording, Error> {
        let file = File::open(path).map_err(|why| Error::file("opening", path, why))?;
        let mut bytes = Vec::new();
        let read = file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(|why| Error::file("reading", path, why))?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(Error::Recording { why: format!("the file has more than {MAX_FILE_BYTES} bytes") });
        }
        Recording::from_bytes(&bytes)
    }

    /// Writes it to a file, whole or not at all.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        replace(path, &self.to_bytes()?)
    }
}

/// Gives a file new content, whole or not at all.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let write = || {
        let mut file = File::create(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().map_err(|why| Error::file("writing", path, why))
}

/// All frames of a file, one after the other. If the last is broken, the whole lines of those before it count.
fn unpack(mut bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let begun = out.len();
        match frame(bytes, &mut out)? {
            Some(rest) => bytes = rest,
            None if begun > 0 => {
                out.truncate(begun);
                break;
            }
            None => {
                return Err(Error::Recording {
                    why: "it is no Zstandard file, or was cut at its start".to_owned(),
                });
            }
        }
    }
    Ok(out)
}

/// One frame; gives what follows it, or nothing if it is not whole.
fn frame<'a>(bytes: &'a [u8], out: &mut Vec<u8>) -> Result<Option<&'a [u8]>, Error> {
    let Ok(mut decoder) = StreamingDecoder::new(bytes) else { return Ok(None) };
    let room = (MAX_TEXT - out.len()) as u64;
    let before = out.len();
    let whole = (&mut decoder).take(room + 1).read_to_end(out);
    if (out.len() - before) as u64 > room {
        return Err(Error::Recording { why: format!("it holds more than {MAX_TEXT} bytes") });
    }
    Ok(whole.is_ok().then(|| decoder.into_inner()))
}

/// A line as a frame of its own that is not compressed.
fn raw_frame(line: &str) -> Vec<u8> {
    let size = line.len() as u32;
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd];
    // One segment, its size in four bytes; no checksum, no dictionary.
    frame.push(0xa0);
    frame.extend(size.to_le_bytes());
    // The last block, raw.
    frame.extend(&((size << 3) | 1).to_le_bytes()[..3]);
    frame.extend(line.as_bytes());
    frame
}

/// A session that is being recorded.
#[derive(Debug)]
pub struct Recorder {
    path: PathBuf,
    file: File,
    world: World,
}

impl Recorder {
    /// Begins a new file.
    pub fn new(path: &Path, header: &Header) -> Result<Recorder, Error> {
        let file = File::create_new(path).map_err(|why| Error::file("beginning", path, why))?;
        let world = World::new(header.bounds, header.floor);
        let mut recorder = Recorder { path: path.to_owned(), file, world };
        recorder.append(header_line(header)?)?;
        Ok(recorder)
    }

    /// Keeps an event: what is told here survives the end of the program, however that comes.
    pub fn record(&mut self, event: &Event) -> Result<(), Error> {
        self.append(event_line(event, &self.world)?)?;
        self.world.apply(event);
        Ok(())
    }

    /// The world as it has become.
    pub fn world(&self) -> &World {
        &self.world
    }

    fn append(&mut self, mut line: String) -> Result<(), Error> {
        line.push('\n');
        self.file.write_all(&raw_frame(&line)).map_err(|why| Error::file("recording to", &self.path, why))
    }

    /// Ends the session: the file becomes one small frame.
    pub fn finish(self) -> Result<Recording, Error> {
        let recording = Recording::open(&self.path)?;
        let bytes = recording.to_bytes()?;
        // The compressor is trusted only as far as it can be read.
        if Recording::from_bytes(&bytes).is_ok_and(|again| again == recording) {
            replace(&self.path, &bytes)?;
        }
        Ok(recording)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::practice::{Part, one_offs};

    fn recording() -> Recording {
        let mut recording = one_offs(Part::Lessons, 3, 1).remove(0);
        let at = Cell { x: 1, y: 2, z: 3 };
        for act in [
            Act::Ghost { at, block: Block(2) },
            Act::Accept { at },
            Act::Reject { at },
            Act::Say { text: "näher \"dran\"\n".to_owned() },
            Act::Stop,
            Act::Resume,
        ] {
            recording.events.push(Event { time_ms: 9, who: Actor::Assistant, act, sure: Some(0.75) });
        }
        recording
    }

    #[test]
    fn what_is_written_is_read() {
        let recording = recording();
        assert_eq!(Recording::from_lines(&recording.to_lines().unwrap()).unwrap(), recording);
        assert_eq!(Recording::from_bytes(&recording.to_bytes().unwrap()).unwrap(), recording);
        assert_eq!(Recording::from_bytes(recording.to_lines().unwrap().as_bytes()).unwrap(), recording);
        assert!(recording.to_bytes().unwrap().len() < recording.to_lines().unwrap().len() / 3);
    }

    #[test]
    fn a_recorder_that_dies_at_any_byte_leaves_what_was_told_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("session.jsonl.zst");
        let mut recording = recording();
        recording.events.truncate(20);
        let mut recorder = Recorder::new(&path, &recording.header).unwrap();
        let mut lengths = vec![fs::metadata(&path).unwrap().len() as usize];
        for event in &recording.events {
            recorder.record(event).unwrap();
            lengths.push(fs::metadata(&path).unwrap().len() as usize);
        }
        let bytes = fs::read(&path).unwrap();
        for cut in lengths[0]..=bytes.len() {
            let whole = lengths.iter().filter(|l| **l <= cut).count() - 1;
            let read = Recording::from_bytes(&bytes[..cut]).unwrap();
            assert_eq!(read.events, recording.events[..whole], "cut at {cut}");
        }
        assert_eq!(recorder.finish().unwrap(), recording);
        assert_eq!(Recording::open(&path).unwrap(), recording);
        assert!(fs::metadata(&path).unwrap().len() < bytes.len() as u64 / 2);
    }

    #[test]
    fn a_line_that_is_wrong_is_named_with_the_reason() {
        let header = r#"{"starling_session":1,"palette":["air","stone"]}"#;
        for (line, said) in [
            (
                r#"{"t":1,"who":"player","do":"place","at":[0,0,0],"block":2}"#,
                "block 2 is not in the palette",
            ),
            (r#"{"t":1,"who":"player","do":"place","at":[0,0,0]}"#, "\"block\" is missing"),
            (r#"{"t":1,"who":"player","do":"break"}"#, "\"at\" is missing"),
            (r#"{"t":1,"who":"player","do":"break","at":[2000000,0,0]}"#, "out of the world"),
            (r#"{"t":1,"who":"cat","do":"stop"}"#, "unknown variant"),
            (r#"{"t":1,"who":"player","do":"stop","sure":2}"#, "from 0 to 1"),
        ] {
            let why = Recording::from_lines(&format!("{header}\n{line}\n")).unwrap_err().to_string();
            assert!(why.starts_with("line 2 ") && why.contains(said), "{why}");
        }
        for (header, said) in [
            ("", "nothing in it"),
            (r#"{"starling_session":2,"palette":["air","stone"]}"#, "format 2"),
            (r#"{"starling_session":1,"palette":["air"]}"#, "palette"),
        ] {
            let why = Recording::from_lines(header).unwrap_err().to_string();
            assert!(why.contains(said), "{why}");
        }
        assert!(Recording::from_bytes(b"not zstd").is_err());
    }

    /// Bytes from anyone are refused or read, and never more than a moment's work.
    #[test]
    fn mangled_files_are_refused_or_read() {
        let mut dice = crate::dice::Dice::new(5, 0);
        let good = recording().to_bytes().unwrap();
        let text = recording().to_lines().unwrap();
        for _ in 0..300 {
            let mut bytes = good.clone();
            let mut lines = text.clone().into_bytes();
            for _ in 0..dice.range(1, 4) {
                let at = dice.below(bytes.len());
                bytes[at] = dice.next() as u8;
                let at = dice.below(lines.len().min(2000));
                lines[at] = dice.next() as u8;
            }
            // Whatever is read can be written and read again.
            let read = [
                Recording::from_bytes(&bytes).ok(),
                std::str::from_utf8(&lines).ok().and_then(|text| Recording::from_lines(text).ok()),
            ];
            for recording in read.into_iter().flatten() {
                assert_eq!(Recording::from_lines(&recording.to_lines().unwrap()).unwrap(), recording);
            }
        }
    }
}
