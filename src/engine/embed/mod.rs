//! Sentence vectors by a local encoder of the BERT family, such as all-MiniLM-L6-v2 (Reimers and Gurevych 2019,
//! "Sentence-BERT"): a folder with `config.json`, `tokenizer.json` or `vocab.txt`, and `model.safetensors`.

mod bert;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod tokens;

use bert::Bert;
use hashbrown::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use tokens::Tokens;

const WEIGHTS: &str = "model.safetensors";
const CONFIG: &str = "config.json";
/// Vectors of texts met before, in bytes: texts repeat.
const REMEMBERED: usize = 16 << 20;

/// Why a folder is no text model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmbedError {
    #[error("text model file \"{file}\" cannot be read: {why}")]
    Unreadable { file: String, why: String },
    #[error("text model file \"{file}\" is damaged: {why}")]
    Damaged { file: String, why: String },
    #[error("text model in \"{folder}\" is not supported: {why}")]
    Unsupported { folder: String, why: String },
}

/// A text model, ready to turn texts into vectors.
pub struct Encoder {
    tokens: Tokens,
    bert: Bert,
    fingerprint: String,
    memo: Mutex<Memo>,
}

struct Memo {
    vectors: HashMap<Box<str>, Box<[f32]>>,
    bytes: usize,
    most: usize,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "text model {}", self.fingerprint)
    }
}

impl PartialEq for Encoder {
    fn eq(&self, other: &Encoder) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl Eq for Encoder {}

/// What a folder looked like when it was read.
type Stamp = (PathBuf, u64, Option<SystemTime>);

/// The model read last: all of a process's models share its weights.
static OPEN: Mutex<Option<(Stamp, Arc<Encoder>)>> = Mutex::new(None);

/// The text model in a folder; it is read once, and again when its weights have changed.
///
/// # Errors
/// [`EmbedError`] names the file and what is wrong with it.
pub fn open(folder: &Path) -> Result<Arc<Encoder>, EmbedError> {
    let stamp = stamp(folder)?;
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((known, encoder)) = &*open
        && *known == stamp
    {
        return Ok(encoder.clone());
    }
    // The old weights are freed first where nobody uses them any more.
    *open = None;
    let encoder = Arc::new(Encoder::read(folder)?);
    *open = Some((stamp, encoder.clone()));
    Ok(encoder)
}

/// Whether a folder looks like a text model, without reading its weights.
pub fn check(folder: &Path) -> Result<(), EmbedError> {
    stamp(folder)?;
    bert::Config::read(folder)?;
    Tokens::file(folder).map(|_| ())
}

fn stamp(folder: &Path) -> Result<Stamp, EmbedError> {
    let file = folder.join(WEIGHTS);
    let about = std::fs::metadata(&file).map_err(|e| unreadable(&file, &e))?;
    Ok((folder.to_owned(), about.len(), about.modified().ok()))
}

fn unreadable(file: &Path, why: &dyn std::fmt::Display) -> EmbedError {
    EmbedError::Unreadable {
        file: file.display().to_string(),
        why: why.to_string(),
    }
}

fn damaged(file: &Path, why: impl Into<String>) -> EmbedError {
    EmbedError::Damaged {
        file: file.display().to_string(),
        why: why.into(),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, EmbedError> {
    std::fs::read(file).map_err(|e| unreadable(file, &e))
}

/// A JSON file; `None` where there is none.
fn json(file: &Path) -> Result<Option<serde_json::Value>, EmbedError> {
    match std::fs::read(file) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(unreadable(file, &e)),
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|e| damaged(file, e.to_string())),
    }
}

impl Encoder {
    fn read(folder: &Path) -> Result<Encoder, EmbedError> {
        let config = bert::Config::read(folder)?;
        let tokens = Tokens::read(folder, config.positions)?;
        let file = folder.join(WEIGHTS);
        // Not mapped: a file that is cut short while it is mapped would kill the process.
        let weights = read(&file)?;
        let mut hash = Hash::new();
        hash.add(&read(&folder.join(CONFIG))?);
        hash.add(&read(&Tokens::file(folder)?)?);
        hash.add(&weights);
        let bert = Bert::read(&config, &weights, &file)?;
        if tokens.vocabulary() > bert.vocabulary() {
            return Err(damaged(&file, "the tokenizer knows more words than it has"));
        }
        Ok(Encoder {
            tokens,
            bert,
            fingerprint: hash.hex(),
            memo: Mutex::new(Memo {
                vectors: HashMap::new(),
                bytes: 0,
                most: REMEMBERED,
            }),
        })
    }

    /// 32 hexadecimal digits of the configuration, the vocabulary and the weights.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Numbers of a vector.
    pub fn dimension(&self) -> usize {
        self.bert.dimension()
    }

    /// Bytes of vectors that are kept, so that a text that is met again costs nothing.
    pub fn remember(&self, bytes: usize) {
        self.memo
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .most = bytes;
    }

    /// The text's vector, of length 1; `out` must hold [`Encoder::dimension`] numbers. Starts no thread.
    pub fn encode(&self, text: &str, out: &mut [f32]) {
        let memo = || self.memo.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = memo().vectors.get(text) {
            out.copy_from_slice(known);
            return;
        }
        out.copy_from_slice(&self.bert.vector(&self.tokens.of(text)));
        let mut memo = memo();
        let bytes = text.len() + size_of_val(out) + 64;
        if memo.bytes + bytes > memo.most {
            memo.vectors.clear();
            memo.bytes = 0;
        }
        if bytes <= memo.most && memo.vectors.insert(text.into(), (&*out).into()).is_none() {
            memo.bytes += bytes;
        }
    }
}

/// Two 64-bit hashes (FNV-1a over words of eight bytes, from two starts): tells models apart, and is no proof against forgery.
struct Hash([u64; 2]);

impl Hash {
    fn new() -> Hash {
        Hash([0xcbf2_9ce4_8422_2325, 0x9e37_79b9_7f4a_7c15])
    }

    fn add(&mut self, bytes: &[u8]) {
        let mut word = |word: u64| {
            for (hash, turn) in self.0.iter_mut().zip([29, 37]) {
                *hash = (*hash ^ word)
                    .wrapping_mul(0x0000_0100_0000_01b3)
                    .rotate_left(turn);
            }
        };
        word(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut padded = [0; 8];
            padded[..chunk.len()].copy_from_slice(chunk);
            word(u64::from_le_bytes(padded));
        }
    }

    fn hex(&self) -> String {
        format!("{:016x}{:016x}", self.0[0], self.0[1])
    }
}
