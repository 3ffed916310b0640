//! A recipe as ONNX operators: from columns as users have them to the inputs of the parts.

use super::category::Category;
use super::cross::{Cross, Side};
use super::derived::{Derived, Operation};
use super::number::{BOUND, Method, Number, PLAIN_BOUND};
use super::quantiles;
use super::shape::{self, Shape};
use super::step::Step;
use super::target_mean::Means;
use super::{Input, Recipe};
use crate::export::onnx::Unsupported;
use crate::export::onnx::graph::{Attribute, Graph, Type};
use crate::frame::Kind;

/// Prepared rows.
pub(crate) struct OnnxInputs {
    /// Floats `[rows, numbers]`; `None` where there are no numbers.
    pub(crate) numbers: Option<String>,
    /// Of each category its codes, `[rows, 1]`.
    pub(crate) codes: Vec<String>,
    /// Of each category the highest code.
    pub(crate) levels: Vec<usize>,
    /// Of each column what stands for a missing value, where that is a text.
    pub(crate) missing: Vec<Option<String>>,
}

/// A column as it comes.
enum Raw {
    /// Doubles, 0 where missing, and whether there is one.
    Number {
        value: String,
        present: String,
    },
    /// Doubles: 0 is false, NaN is missing.
    Boolean(String),
    Text {
        value: String,
        missing: String,
    },
    /// Of a kind that only steps without operators take.
    Other,
}

const HINT: &str = "Leave the column out (option \"exclude\"), or export as safetensors.";

impl Recipe {
    /// Adds the inputs and the preparation of a graph.
    ///
    /// # Errors
    /// Names the first column that ONNX has no operators for.
    pub(crate) fn onnx(&self, graph: &mut Graph) -> Result<OnnxInputs, Unsupported> {
        let (mut raws, mut missing) = (Vec::new(), Vec::new());
        for (i, input) in self.columns.iter().enumerate() {
            if let Some((said, _)) = self.clean.describe(i) {
                return Err(Unsupported::new(
                    format!("The column \"{}\" is cleaned: {said}.", input.name),
                    "Train it with \"clean\": \"off\" on values that are clean, or export as safetensors.",
                ));
            }
            let raw = raw(graph, input, self.levels_of(i));
            missing.push(match &raw {
                Raw::Text { missing, .. } => Some(missing.clone()),
                _ => None,
            });
            raws.push(raw);
        }
        let mut out = Prepared::default();
        for ((input, step), raw) in self.columns.iter().zip(&self.steps).zip(&raws) {
            out.step(graph, input, step, raw)?;
        }
        for derived in &self.derived {
            out.derived(graph, derived, &raws);
        }
        for cross in &self.crosses {
            out.cross(graph, cross, &raws);
        }
        if !self.forecasts.is_empty() {
            return Err(Unsupported::new(
                "It takes forecasts of purchases (option \"clv\" of a source).",
                "Leave them out, or export as safetensors.",
            ));
        }
        let numbers = (!out.numbers.is_empty()).then(|| graph.beside(&out.numbers));
        let categories = self.inputs().categories;
        Ok(OnnxInputs {
            numbers,
            codes: out.codes,
            levels: categories.iter().map(|c| c.levels).collect(),
            missing,
        })
    }

    /// The levels that are told apart of a column, by whatever takes it.
    fn levels_of(&self, column: usize) -> Vec<&str> {
        let own = match self.steps.get(column) {
            Some(Step::Category(category)) => Some(category),
            Some(Step::TargetMean(mean)) => Some(&mean.category),
            _ => None,
        };
        let crosses = self.crosses.iter().flat_map(|cross| {
            let sides = [cross.left, cross.right].into_iter().zip(cross.sides());
            sides.filter(move |(at, _)| *at == column)
        });
        let crossed = crosses.filter_map(|(_, side)| match side {
            Side::Category(category) => Some(category),
            Side::Bins(_) => None,
        });
        let all = own.into_iter().chain(crossed);
        all.flat_map(Category::names).map(String::as_str).collect()
    }
}

fn raw(graph: &mut Graph, input: &Input, levels: Vec<&str>) -> Raw {
    let name = input.name.as_str();
    let said = |of: &str| format!("{} ({of})", input.type_name);
    match input.kind {
        Kind::Number | Kind::Duration => {
            let of = match input.kind {
                Kind::Duration => "seconds; NaN: missing",
                _ => "NaN: missing",
            };
            graph.input(name, Type::Double, said(of));
            let size = graph.op("Abs", &[name]);
            // Neither NaN nor an infinity.
            let present = graph.with("LessOrEqual", &size, f64::MAX);
            let zero = graph.double(0.0);
            let value = graph.op("Where", &[&present, name, &zero]);
            Raw::Number { value, present }
        }
        Kind::Boolean => {
            graph.input(name, Type::Double, said("1: true, 0: false, NaN: missing"));
            Raw::Boolean(name.into())
        }
        Kind::Category => {
            let mut missing = String::new();
            while levels.contains(&missing.as_str()) {
                missing.push('\u{fffd}');
            }
            graph.input(name, Type::String, said(&format!("\"{missing}\": missing")));
            let value = name.into();
            Raw::Text { value, missing }
        }
        Kind::Time | Kind::Vector | Kind::Tags | Kind::Json | Kind::Image => Raw::Other,
    }
}

#[derive(Default)]
struct Prepared {
    numbers: Vec<String>,
    codes: Vec<String>,
}

impl Prepared {
    fn step(
        &mut self,
        graph: &mut Graph,
        input: &Input,
        step: &Step,
        raw: &Raw,
    ) -> Result<(), Unsupported> {
        match (step, raw) {
            (Step::Number(own), Raw::Number { value, present }) => {
                self.number(graph, own, value, present);
            }
            (Step::Category(own), Raw::Boolean(_) | Raw::Text { .. }) => {
                self.codes.push(code(graph, own, raw));
            }
            (Step::TargetMean(own), Raw::Boolean(_) | Raw::Text { .. }) => {
                let code = code(graph, &own.category, raw);
                self.means(graph, &own.means, &code);
            }
            _ => {
                let kind = match step {
                    Step::Time(_) => "a time",
                    Step::Text(_) => "a free text",
                    Step::Vector(_) => "a vector",
                    Step::Tags(_) => "an array of texts",
                    Step::Json(_) => "a JSON document",
                    Step::Picture(_) => "an image",
                    Step::Hashed(_) => "a category by its hash",
                    Step::Number(_) | Step::Category(_) | Step::TargetMean(_) => "of another kind",
                };
                let what = format!("The column \"{}\" is prepared as {kind}.", input.name);
                return Err(Unsupported::new(what, HINT));
            }
        }
        Ok(())
    }

    /// [`Number::write`]: the number, and its flag.
    fn number(&mut self, graph: &mut Graph, own: &Number, value: &str, present: &str) {
        let median = graph.double(own.median);
        let value = graph.op("Where", &[present, value, &median]);
        let value = shaped(graph, own.shape, &value);
        let value = match own.method {
            Method::Quantile => normal_score(graph, &own.quantiles, &value),
            Method::None => graph.clip(&value, -PLAIN_BOUND, PLAIN_BOUND),
            Method::Standard | Method::Robust | Method::Minmax => {
                let value = graph.with("Sub", &value, own.mean);
                let value = graph.with("Mul", &value, own.scale);
                graph.clip(&value, -BOUND, BOUND)
            }
        };
        self.numbers.push(graph.cast(&value, Type::Float));
        if own.flag {
            let missing = graph.op("Not", &[present]);
            self.numbers.push(graph.cast(&missing, Type::Float));
        }
    }

    fn means(&mut self, graph: &mut Graph, means: &Means, code: &str) {
        self.numbers
            .push(graph.look_up(means.table(), means.width, code));
    }

    /// [`super::Pair::value`], then a number; nothing of what is no number.
    fn derived(&mut self, graph: &mut Graph, own: &Derived, raws: &[Raw]) {
        let (left, right) = (&raws[own.pair.left], &raws[own.pair.right]);
        let zero = graph.double(0.0);
        let (value, present) = match (left, right) {
            (
                Raw::Number {
                    value: left,
                    present: has_left,
                },
                Raw::Number {
                    value: right,
                    present: has_right,
                },
            ) => {
                let op = match own.pair.operation {
                    Operation::Ratio => "Div",
                    Operation::Difference => "Sub",
                    Operation::Product => "Mul",
                };
                let value = graph.op(op, &[left, right]);
                let size = graph.op("Abs", &[&value]);
                let finite = graph.with("LessOrEqual", &size, f64::MAX);
                let both = graph.op("And", &[has_left, has_right]);
                let present = graph.op("And", &[&both, &finite]);
                let value = graph.op("Where", &[&present, &value, &zero]);
                (value, present)
            }
            // Other kinds have no value; nothing is to be seen of them but how many rows there are.
            _ => {
                let none = absent(graph, left);
                let value = graph.op("Where", &[&none, &zero, &zero]);
                (value, none)
            }
        };
        self.number(graph, &own.number, &value, &present);
    }

    /// [`Cross::write`].
    fn cross(&mut self, graph: &mut Graph, own: &Cross, raws: &[Raw]) {
        let [left, right] = own.sides();
        let width = right.levels() as i64 + 1;
        let left = side(graph, left, &raws[own.left]);
        let right = side(graph, right, &raws[own.right]);
        let width = graph.ints(&[width], &[1, 1]);
        let place = graph.op("Mul", &[&left, &width]);
        let place = graph.op("Add", &[&place, &right]);
        let codes: Vec<i64> = own
            .codes_by_side()
            .iter()
            .map(|code| i64::from(*code))
            .collect();
        let codes = graph.ints(&codes, &[codes.len()]);
        let code = graph.op_with(
            "Gather",
            &[&codes, &place],
            vec![("axis", Attribute::Int(0))],
        );
        match own.means() {
            Some(means) => self.means(graph, means, &code),
            None => self.codes.push(code),
        }
    }
}

/// False for each row.
fn absent(graph: &mut Graph, raw: &Raw) -> String {
    match raw {
        Raw::Number { present, .. } => {
            let not = graph.op("Not", &[present]);
            graph.op("And", &[present, &not])
        }
        Raw::Boolean(value) => {
            let size = graph.op("Abs", &[value]);
            graph.with("Less", &size, 0.0)
        }
        Raw::Text { value, .. } => {
            let encoder = vec![
                ("keys_strings", Attribute::Texts(Vec::new())),
                ("values_int64s", Attribute::Ints(Vec::new())),
                ("default_int64", Attribute::Int(0)),
            ];
            let code = graph.ml("LabelEncoder", &[value], encoder);
            let one = graph.ints(&[1], &[1, 1]);
            graph.op("Equal", &[&code, &one])
        }
        // A step that takes them was refused before.
        Raw::Other => graph.text(""),
    }
}

/// [`Category::code`], `[rows, 1]`.
fn code(graph: &mut Graph, own: &Category, raw: &Raw) -> String {
    let names = own.names();
    let missing_code = match own.missing_is_a_level() {
        true => names.len() as i64 + 1,
        false => 0,
    };
    match raw {
        Raw::Boolean(value) => {
            let place = |name: &str| {
                names
                    .iter()
                    .position(|n| n == name)
                    .map_or(0, |at| at as i64 + 1)
            };
            let mut constant = |code: i64| graph.ints(&[code], &[1, 1]);
            let (yes, no) = (constant(place("true")), constant(place("false")));
            let missing = constant(missing_code);
            let size = graph.op("Abs", &[value]);
            let is_yes = graph.with("Greater", &size, 0.0);
            let is_no = graph.with("Equal", &size, 0.0);
            let other = graph.op("Where", &[&is_no, &no, &missing]);
            graph.op("Where", &[&is_yes, &yes, &other])
        }
        Raw::Text { value, missing } => {
            let mut keys: Vec<Vec<u8>> = names.iter().map(|n| n.as_bytes().to_vec()).collect();
            let mut codes: Vec<i64> = (1..=names.len() as i64).collect();
            keys.push(missing.as_bytes().to_vec());
            codes.push(missing_code);
            let attributes = vec![
                ("keys_strings", Attribute::Texts(keys)),
                ("values_int64s", Attribute::Ints(codes)),
                ("default_int64", Attribute::Int(0)),
            ];
            graph.ml("LabelEncoder", &[value], attributes)
        }
        // Numbers have no code of a category.
        Raw::Number { present, .. } => {
            let missing = graph.ints(&[missing_code], &[1, 1]);
            graph.op("Where", &[present, &missing, &missing])
        }
        Raw::Other => graph.ints(&[missing_code], &[1, 1]),
    }
}

/// [`Side::code`], `[rows, 1]`.
fn side(graph: &mut Graph, own: &Side, raw: &Raw) -> String {
    match (own, raw) {
        (Side::Category(category), raw) => code(graph, category, raw),
        (Side::Bins(cuts), Raw::Number { value, present }) => {
            let zero = graph.ints(&[0], &[1, 1]);
            let mut bin = graph.ints(&[1], &[1, 1]);
            if !cuts.is_empty() {
                let cuts = graph.doubles(cuts, &[1, cuts.len()]);
                let above = graph.op("Less", &[&cuts, value]);
                let above = graph.cast(&above, Type::Int64);
                let axis = graph.ints(&[1], &[1]);
                let above = graph.op("ReduceSum", &[&above, &axis]);
                bin = graph.op("Add", &[&above, &bin]);
            }
            graph.op("Where", &[present, &bin, &zero])
        }
        // What is no number is in no bin.
        _ => graph.ints(&[0], &[1, 1]),
    }
}

/// [`Shape::apply`].
fn shaped(graph: &mut Graph, shape: Shape, x: &str) -> String {
    let one_plus = |graph: &mut Graph, x: &str| {
        let sum = graph.with("Add", x, 1.0);
        graph.op("Log", &[&sum])
    };
    match shape {
        Shape::Plain | Shape::Quantile => x.to_owned(),
        Shape::Log => {
            let size = graph.op("Abs", &[x]);
            let log = one_plus(graph, &size);
            let sign = graph.op("Sign", &[x]);
            graph.op("Mul", &[&sign, &log])
        }
        Shape::Power { lambda, unit } => {
            let x = graph.with("Div", x, unit);
            let power = |graph: &mut Graph, x: &str, lambda: f64| {
                let size = graph.with("Max", x, 0.0);
                let log = one_plus(graph, &size);
                if lambda.abs() < 1e-9 {
                    return log;
                }
                let scaled = graph.with("Mul", &log, lambda);
                let raised = graph.op("Exp", &[&scaled]);
                let raised = graph.with("Sub", &raised, 1.0);
                graph.with("Div", &raised, lambda)
            };
            let above = power(graph, &x, lambda);
            let turned = graph.op("Neg", &[&x]);
            let below = power(graph, &turned, 2.0 - lambda);
            let both = graph.op("Sub", &[&above, &below]);
            graph.clip(&both, -shape::BOUND, shape::BOUND)
        }
    }
}

/// [`quantiles::Ranks::score`].
fn normal_score(graph: &mut Graph, quantiles: &[f64], x: &str) -> String {
    let points = quantiles::points(quantiles);
    let (values, ranks): (Vec<f64>, Vec<f64>) = points.into_iter().unzip();
    if quantiles.len() < 2 {
        return graph.with("Mul", x, 0.0);
    }
    let rank = graph.piecewise(x, &values, &ranks);
    let last = (quantiles.len() - 1) as f64;
    let edge = 0.5 / quantiles.len() as f64;
    let share = graph.with("Div", &rank, last);
    let p = graph.clip(&share, edge, 1.0 - edge);
    // Acklam's approximation, as in `normal_quantile`.
    let [a, b, c, d] = quantiles::ACKLAM;
    let polynomial = |graph: &mut Graph, factors: &[f64], x: &str| {
        let mut sum: Option<String> = None;
        for factor in factors {
            sum = Some(match sum {
                None => graph.double(*factor),
                Some(sum) => {
                    let product = graph.op("Mul", &[&sum, x]);
                    graph.with("Add", &product, *factor)
                }
            });
        }
        sum.unwrap_or_default()
    };
    let one = graph.double(1.0);
    let rest = graph.op("Sub", &[&one, &p]);
    let outer = graph.op("Min", &[&p, &rest]);
    let log = graph.op("Log", &[&outer]);
    let log = graph.with("Mul", &log, -2.0);
    let q = graph.op("Sqrt", &[&log]);
    let top = polynomial(graph, c, &q);
    let bottom = polynomial(graph, d, &q);
    let bottom = graph.op("Mul", &[&bottom, &q]);
    let bottom = graph.with("Add", &bottom, 1.0);
    let low = graph.op("Div", &[&top, &bottom]);
    let high = graph.op("Neg", &[&low]);
    let q = graph.with("Sub", &p, 0.5);
    let r = graph.op("Mul", &[&q, &q]);
    let top = polynomial(graph, a, &r);
    let top = graph.op("Mul", &[&top, &q]);
    let bottom = polynomial(graph, b, &r);
    let bottom = graph.op("Mul", &[&bottom, &r]);
    let bottom = graph.with("Add", &bottom, 1.0);
    let middle = graph.op("Div", &[&top, &bottom]);
    let is_low = graph.with("Less", &p, quantiles::TAIL);
    let is_high = graph.with("Greater", &p, 1.0 - quantiles::TAIL);
    let upper = graph.op("Where", &[&is_high, &high, &middle]);
    graph.op("Where", &[&is_low, &low, &upper])
}
