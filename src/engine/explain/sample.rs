//! Some of the rows a model was judged on, kept with it.

use crate::artifact::{Artifact, Task};
use crate::calendar;
use crate::evaluate::{Outcomes, Truth};
use crate::frame::{Cell, Column, Frame, Kind, tags};
use crate::recipe::Input;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

/// Rows that have a text, at least, where it is kept.
const ROWS_OF_TEXT: usize = 5;
/// Rows that are kept.
pub(crate) const MOST_ROWS: usize = 512;
/// Bytes that a column may take; one that needs more (images, long texts) is kept as missing.
const MOST_BYTES: usize = 1 << 18;

/// A value of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Value {
    Null,
    Boolean(bool),
    Time(i64),
    Number(f64),
    Text(String),
    Vector(Vec<Option<f32>>),
}

/// A sample as text, read when it is asked for: most of those who load a model never do, and reading takes longer than all the rest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Kept {
    text: String,
}

impl Kept {
    pub(crate) fn new(sample: &Sample) -> Kept {
        Kept {
            // A sample is plain data; nothing of it cannot be written.
            text: serde_json::to_string(sample).unwrap_or_default(),
        }
    }
}

impl Artifact {
    /// Some of the rows it was judged on, as they are read now; none where it keeps none, or none that fit.
    pub fn sample(&self) -> Sample {
        let labels = self.target.labels.len();
        let columns = self.recipe.columns().len();
        let read: Sample = serde_json::from_str(&self.kept.text).unwrap_or_default();
        match read.is_sound(columns, self.task, labels) {
            true => read,
            false => Sample::default(),
        }
    }
}

/// Rows with what was true of them: of the model's columns the values that it was asked with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub rows: usize,
    /// Of each column of the recipe a value per row.
    columns: Vec<Vec<Value>>,
    /// Columns of which some texts are left out, because few rows have them.
    #[serde(default)]
    hidden: Vec<usize>,
    /// See [`Outcomes`]; `told` numbers a row.
    truth: Vec<f64>,
    told: usize,
}

impl Sample {
    /// Keeps some of `rows` of `frame`, evenly spread; `outcomes` are theirs, in the same order.
    pub(crate) fn of(
        frame: &Frame,
        inputs: &[Input],
        rows: &[u32],
        outcomes: &Outcomes,
        (task, labels): (Task, usize),
    ) -> Sample {
        let most = MOST_ROWS.min(rows.len());
        let kept: Vec<usize> = (0..most).map(|i| i * rows.len() / most).collect();
        let told = Truth::width(task, labels);
        let truth = kept
            .iter()
            .flat_map(|at| (0..told).map(|place| outcomes.truth.of(*at, place, told)));
        let mut hidden = Vec::new();
        let mut column = |(at, input): (usize, &Input)| {
            let column = frame.column(&input.name);
            let value =
                |at: &usize| column.map_or(Value::Null, |c| Value::of(c.cell(rows[*at] as usize)));
            let mut values: Vec<Value> = kept.iter().map(value).collect();
            if let Some(column) = column {
                let hides = hide(column, rows, &mut values);
                hidden.extend(hides.then_some(at));
            }
            match values.iter().map(Value::bytes).sum::<usize>() <= MOST_BYTES {
                true => values,
                false => vec![Value::Null; values.len()],
            }
        };
        Sample {
            rows: kept.len(),
            columns: inputs.iter().enumerate().map(&mut column).collect(),
            hidden,
            truth: truth.collect(),
            told,
        }
    }

    /// The rows as a frame whose columns are those of the recipe, in its order.
    pub fn frame(&self, inputs: &[Input]) -> Frame {
        let column = |(input, values): (&Input, &Vec<Value>)| {
            let mut column = Column::new(&input.name, &input.type_name, input.kind);
            let mut vector = Vec::new();
            for value in values {
                column.push(value.cell(input.kind, &mut vector));
            }
            column
        };
        Frame {
            columns: inputs.iter().zip(&self.columns).map(column).collect(),
        }
    }

    /// Whether some texts of a column were left out.
    pub(crate) fn hides(&self, column: usize) -> bool {
        self.hidden.contains(&column)
    }

    pub(crate) fn truth(&self, task: Task) -> Truth {
        Truth::read(task, self.truth.iter().copied())
    }

    /// Are there as many values as it says?
    fn is_sound(&self, columns: usize, task: Task, labels: usize) -> bool {
        if self.rows == 0 {
            return self.truth.is_empty() && self.columns.iter().all(Vec::is_empty);
        }
        self.rows <= MOST_ROWS
            && self.columns.len() == columns
            && self.columns.iter().all(|c| c.len() == self.rows)
            && self.told == Truth::width(task, labels)
            && self.truth.len() == self.rows * self.told
    }
}

/// Leaves out texts, and says whether it did, that so few of the rows have that they could tell who somebody is.
fn hide(column: &Column, rows: &[u32], values: &mut [Value]) -> bool {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for row in rows {
        if let Cell::Text(text) | Cell::Tags(text) | Cell::Json(text) = column.cell(*row as usize) {
            *counts.entry(text).or_default() += 1;
        }
    }
    let mut hides = false;
    for value in values {
        if let Value::Text(text) = value
            && counts
                .get(text.as_str())
                .is_none_or(|count| *count < ROWS_OF_TEXT)
        {
            *value = Value::Null;
            hides = true;
        }
    }
    hides
}

impl Value {
    fn of(cell: Cell<'_>) -> Value {
        match cell {
            Cell::Number(x) | Cell::Duration(x) if x.is_finite() => Value::Number(x),
            Cell::Boolean(x) => Value::Boolean(x),
            Cell::Text(x) | Cell::Tags(x) | Cell::Json(x) => Value::Text(x.into()),
            Cell::Time(x) => Value::Time(x),
            Cell::Vector(x) => {
                Value::Vector(x.iter().map(|x| x.is_finite().then_some(*x)).collect())
            }
            // Pictures are too large to be kept.
            Cell::Null | Cell::Number(_) | Cell::Duration(_) | Cell::Image(_) => Value::Null,
        }
    }

    fn cell<'a>(&'a self, kind: Kind, vector: &'a mut Vec<f32>) -> Cell<'a> {
        match (self, kind) {
            (Value::Boolean(x), Kind::Boolean) => Cell::Boolean(*x),
            (Value::Number(x), Kind::Number) => Cell::Number(*x),
            // Numbers that are whole are read as times.
            (Value::Time(x), Kind::Number) => Cell::Number(*x as f64),
            (Value::Number(x), Kind::Duration) => Cell::Duration(*x),
            (Value::Time(x), Kind::Duration) => Cell::Duration(*x as f64),
            (Value::Time(x), Kind::Time) => Cell::Time(*x),
            (Value::Text(x), Kind::Category) => Cell::Text(x),
            (Value::Text(x), Kind::Tags) => Cell::Tags(x),
            (Value::Text(x), Kind::Json) => Cell::Json(x),
            (Value::Vector(x), Kind::Vector) => {
                vector.clear();
                vector.extend(x.iter().map(|x| x.unwrap_or(f32::NAN)));
                Cell::Vector(vector)
            }
            _ => Cell::Null,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Value::Null | Value::Boolean(_) => 4,
            Value::Time(_) | Value::Number(_) => 12,
            Value::Text(text) => text.len() + 2,
            Value::Vector(values) => 12 * values.len(),
        }
    }
}

/// A value as it is told; `None` for what is missing or cannot be told in words.
pub fn told(cell: Cell<'_>) -> Option<String> {
    match cell {
        Cell::Number(x) | Cell::Duration(x) => Some(format!("{x}")),
        Cell::Boolean(x) => Some(x.to_string()),
        Cell::Text(x) | Cell::Json(x) => Some(x.to_owned()),
        Cell::Time(at) => Some(calendar::iso(at)),
        Cell::Tags(packed) => Some(tags(packed).collect::<Vec<_>>().join(", ")),
        Cell::Vector(x) => Some(format!("{} numbers", x.len())),
        Cell::Image(_) => Some("an image".into()),
        Cell::Null => None,
    }
}

/// The typical value of a column: the median of numbers and times, of others the most frequent value.
pub(crate) fn typical(column: &Column) -> Option<String> {
    let mut cells: Vec<Cell<'_>> = (0..column.len()).map(|row| column.cell(row)).collect();
    cells.retain(|cell| *cell != Cell::Null);
    if let Kind::Number | Kind::Duration | Kind::Time = column.kind {
        let place = |cell: &Cell<'_>| match cell {
            Cell::Number(x) | Cell::Duration(x) => *x,
            Cell::Time(at) => *at as f64,
            _ => f64::NAN,
        };
        cells.sort_unstable_by(|a, b| place(a).total_cmp(&place(b)));
        return told(*cells.get(cells.len() / 2)?);
    }
    let mut texts: Vec<String> = cells.into_iter().filter_map(told).collect();
    texts.sort_unstable();
    let runs = texts.chunk_by(|a, b| a == b);
    // Of equally many the first.
    let most = runs.reduce(|best, run| if run.len() > best.len() { run } else { best });
    most.and_then(|run| run.first().cloned())
}
