//! What a trainer is to do with the rows that were read.

use super::spec::Work;
use super::spec::generate::{Generate, parent_key};
use super::spec::sequence::Sequence;
use crate::error::{Error, Result};
use insight_engine::artifact::Artifact;
use insight_engine::embed;
use insight_engine::fit::{self, Progress, Request};
use insight_engine::frame::Frame;
use insight_engine::segment::{self, Clustering, Wanted};
use insight_engine::sequence::{self, Log};
use insight_engine::synth::{self, ChildRows, Synthesizer};
use insight_engine::train::Device;
use serde_json::{Map, Value};
use std::path::PathBuf;

/// Sentence vectors a trainer keeps: of 300,000 texts at 384 numbers.
const SENTENCE_BYTES: usize = 512 << 20;

/// One of the things that can be learned from rows.
pub enum Duty {
    /// A model that predicts a column, its cross-validation, or attacks on such models.
    Predict {
        request: Box<Request>,
        work: Work,
        /// The folder of the text model.
        text_model: Option<PathBuf>,
    },
    /// A model that makes rows.
    Generate {
        frame: Frame,
        /// Rows that belong to those of the frame, by table.
        children: Vec<Frame>,
        work: Generate,
        params: synth::Params,
        options: Map<String, Value>,
    },
    /// A model that tells segments of rows apart.
    Segment {
        frame: Frame,
        wanted: Wanted,
        params: segment::Params,
        /// By which rows are alike.
        model: Option<Box<Artifact>>,
    },
    /// A model of what keys do next.
    Foretell {
        frame: Frame,
        /// The keys and their labels.
        labels: Option<Frame>,
        /// The keys and what is known of them.
        statics: Option<Frame>,
        work: Sequence,
        params: sequence::Params,
    },
}

impl Duty {
    /// All rows there are.
    fn frames(&self) -> Vec<&Frame> {
        match self {
            Duty::Predict { request, .. } => vec![&request.frame],
            Duty::Segment { frame, .. } => vec![frame],
            Duty::Generate {
                frame, children, ..
            } => std::iter::once(frame).chain(children).collect(),
            Duty::Foretell {
                frame,
                labels,
                statics,
                ..
            } => {
                let others = labels.iter().chain(statics);
                std::iter::once(frame).chain(others).collect()
            }
        }
    }

    /// Bytes of the rows.
    pub fn frame_bytes(&self) -> usize {
        self.frames().iter().map(|frame| frame.bytes()).sum()
    }

    /// Bytes of the texts among them that are blocks of less than a page.
    pub fn short_text_bytes(&self) -> usize {
        let frames = self.frames();
        frames.iter().map(|frame| frame.short_text_bytes()).sum()
    }

    pub fn device(&self) -> Device {
        match self {
            Duty::Predict { request, .. } => request.device.device(),
            Duty::Generate { .. } | Duty::Foretell { .. } | Duty::Segment { .. } => Device::Cpu,
        }
    }

    /// `act` is done where the CPU begins to stand in for a GPU.
    pub fn or_on_cpu(mut self, act: impl Fn() + Send + Sync + 'static) -> Duty {
        if let Duty::Predict { request, .. } = &mut self {
            request.device.when_given_up(act);
        }
        self
    }

    /// What came of it, as bytes: a model's own, else JSON. The text model is read here, where it counts as the trainer's memory.
    pub fn run(self, report: &mut dyn FnMut(&Progress) -> bool) -> Result<Vec<u8>> {
        match self {
            Duty::Predict {
                mut request,
                work,
                text_model,
            } => {
                if let Some(folder) = text_model {
                    let encoder = embed::open(&folder)?;
                    encoder.remember(SENTENCE_BYTES);
                    request.params.text_model = Some(encoder);
                }
                match &work {
                    Work::CrossValidate(folds) => {
                        let found = fit::cross_validate(*request, folds, report)?;
                        serde_json::to_vec(&found).map_err(|e| Error::new("XX000", e.to_string()))
                    }
                    Work::Leak(plan) => {
                        let found = fit::leak_test(*request, plan, report)?;
                        serde_json::to_vec(&found).map_err(|e| Error::new("XX000", e.to_string()))
                    }
                    _ => Ok(fit::fit(*request, report)?.to_bytes()),
                }
            }
            Duty::Generate {
                frame,
                children,
                work,
                params,
                options,
            } => {
                let (frame, children) = family(frame, children, &work, &options)?;
                let columns = &work.columns;
                let made = Synthesizer::fit_family(frame, columns, params, children, report)?;
                Ok(made.to_bytes())
            }
            Duty::Segment {
                frame,
                wanted,
                params,
                model,
            } => {
                let model = model.map(|own| *own);
                Ok(Clustering::fit(&frame, &wanted, params, model, report)?.to_bytes())
            }
            Duty::Foretell {
                frame,
                labels,
                statics,
                work,
                params,
            } => {
                let mut log = Log::new(&frame, &work.key, &work.order)?;
                if let (Some(frame), Some(source)) = (&labels, &work.labels)
                    && let (Some(keys), Some(own)) =
                        (frame.column(&work.key), frame.column(&source.target))
                {
                    log = log.with_labels(keys, own, source.classes)?;
                }
                if let Some(privacy) = &params.privacy {
                    let (target, statics) = (&work.target, statics.as_ref());
                    let model = sequence::fit_privately(
                        &log,
                        statics,
                        target,
                        &[],
                        &params,
                        privacy,
                        report,
                    )?;
                    return Ok(model.to_bytes());
                }
                let mut known = sequence::Statics::default();
                if let Some(frame) = &statics {
                    known = sequence::Statics::of(frame, &work.key, &[]);
                    let by_key = known.by_key(frame, &work.key);
                    if !log.keys.iter().any(|key| by_key.contains_key(key)) {
                        return Err(Error::new(
                            "22023",
                            "static_relation has none of the keys of the histories",
                        )
                        .hint("Its keys must be written as those of the histories are."));
                    }
                    log = log.with_statics(known.width(), |key| by_key.get(key).map(Vec::as_slice));
                }
                let mut model = sequence::fit(&log, &work.target, &[], &params, report)?;
                model.encoder.excluded.extend(known.excluded.clone());
                model.encoder.static_columns = known;
                Ok(model.to_bytes())
            }
        }
    }
}

/// The parents without what only joins tables, and the rows of each child's table with their hyper-parameters.
fn family(
    mut frame: Frame,
    children: Vec<Frame>,
    work: &Generate,
    options: &Map<String, Value>,
) -> Result<(Frame, Vec<(ChildRows, synth::Params)>)> {
    let shown = frame.columns.len().saturating_sub(children.len());
    let keys = Frame {
        columns: frame.columns.split_off(shown),
    };
    let mut found = Vec::new();
    for (place, (rows, child)) in children.into_iter().zip(&work.children).enumerate() {
        let Some(keys) = keys.column(&parent_key(place)) else {
            continue;
        };
        let rows = ChildRows::new(child.table.clone(), rows, keys)?;
        let params = synth::Params::of_children(options, rows.rows())?;
        found.push((rows, params));
    }
    Ok((frame, found))
}
