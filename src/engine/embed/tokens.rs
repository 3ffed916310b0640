//! Texts to the numbers of their word pieces.

use super::{EmbedError, damaged, json, unreadable};
use std::path::{Path, PathBuf};
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{Tokenizer, TruncationParams};

/// Tokens of a text, at most, where the model does not say: attention costs the square.
const LONGEST: usize = 256;
/// Longer words are unknown to a word-piece vocabulary, so that the rest of a text can never matter.
const CHARACTERS_PER_TOKEN: usize = 100;

pub(super) struct Tokens {
    tokenizer: Tokenizer,
    characters: usize,
}

impl Tokens {
    /// The file with the vocabulary.
    pub(super) fn file(folder: &Path) -> Result<PathBuf, EmbedError> {
        let whole = folder.join("tokenizer.json");
        let plain = folder.join("vocab.txt");
        match (whole.is_file(), plain.is_file()) {
            (true, _) => Ok(whole),
            (false, true) => Ok(plain),
            _ => Err(unreadable(&whole, &"neither it nor vocab.txt is there")),
        }
    }

    /// `positions` bounds the tokens of a text.
    pub(super) fn read(folder: &Path, positions: usize) -> Result<Tokens, EmbedError> {
        let file = Tokens::file(folder)?;
        let mut tokenizer = if file.ends_with("vocab.txt") {
            word_pieces(folder, &file)?
        } else {
            Tokenizer::from_file(&file).map_err(|e| damaged(&file, e.to_string()))?
        };
        let said = json(&folder.join("sentence_bert_config.json"))?;
        let said = said.and_then(|v| v.get("max_seq_length")?.as_u64());
        let most = said
            .map_or(LONGEST, |n| n as usize)
            .clamp(2, positions.max(2));
        tokenizer.with_padding(None);
        tokenizer
            .with_truncation(Some(TruncationParams {
                max_length: most,
                ..TruncationParams::default()
            }))
            .map_err(|e| damaged(&file, e.to_string()))?;
        Ok(Tokens {
            tokenizer,
            characters: most * CHARACTERS_PER_TOKEN,
        })
    }

    pub(super) fn vocabulary(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    /// Tokens, the special ones too; none where the tokenizer fails.
    pub(super) fn of(&self, text: &str) -> Vec<u32> {
        let end = text.char_indices().nth(self.characters);
        let text = &text[..end.map_or(text.len(), |(end, _)| end)];
        self.tokenizer
            .encode(text, true)
            .map_or_else(|_| Vec::new(), |encoding| encoding.get_ids().to_vec())
    }
}

/// BERT's own tokenizer, from the list of its word pieces.
fn word_pieces(folder: &Path, file: &Path) -> Result<Tokenizer, EmbedError> {
    let wrong = |e: tokenizers::Error| damaged(file, e.to_string());
    let model = WordPiece::from_file(&file.to_string_lossy())
        .unk_token("[UNK]".into())
        .build()
        .map_err(wrong)?;
    let said = json(&folder.join("tokenizer_config.json"))?;
    let lower = said.and_then(|v| v.get("do_lower_case")?.as_bool());
    let mut tokenizer = Tokenizer::new(model);
    let special = |name: &str| {
        let id = tokenizer.token_to_id(name);
        id.map(|id| (name.to_owned(), id))
            .ok_or_else(|| damaged(file, format!("it has no {name}")))
    };
    let (sep, cls) = (special("[SEP]")?, special("[CLS]")?);
    tokenizer
        .with_normalizer(Some(BertNormalizer::new(
            true,
            true,
            None,
            lower.unwrap_or(true),
        )))
        .with_pre_tokenizer(Some(BertPreTokenizer))
        .with_post_processor(Some(BertProcessing::new(sep, cls)));
    Ok(tokenizer)
}
