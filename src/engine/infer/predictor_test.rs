use super::testing::reference;
use super::*;
use crate::{
    artifact::testing::{add_trees, frame, model, net},
    models::{Activation, Output},
};
use std::alloc::{GlobalAlloc, Layout, System};

/// The system's allocator, counting per thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

// SAFETY: everything is handed on to the system's allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const TASKS: [Task; 7] = Task::ALL;

fn cells(frame: &Frame, row: usize) -> Vec<Cell<'_>> {
    frame.columns.iter().map(|c| c.cell(row)).collect()
}

fn predictor(task: Task) -> Predictor {
    Predictor::new(model(task, &[24, 9], Activation::Silu)).unwrap()
}

#[test]
fn predictions_are_those_of_the_definition() {
    let frame = frame(300);
    for task in TASKS {
        let predictor = predictor(task);
        let artifact = predictor.artifact();
        let mut own = artifact.clone();
        let mut scratch = predictor.scratch();
        for row in 0..frame.rows() {
            let mut features = artifact.recipe.scratch();
            let cells = cells(&frame, row);
            artifact.recipe.apply(&cells, &mut features);
            let sums = reference(net(&mut own), &features.numbers, &features.codes);
            let want: Vec<f64> = match task {
                Task::Binary => vec![1.0 / (1.0 + (-sums[0]).exp())],
                Task::Regression | Task::Uplift => vec![sums[0] / 3.0 + (0.1 + 0.2)],
                Task::Multilabel | Task::Survival => {
                    sums.iter().map(|s| 1.0 / (1.0 + (-s).exp())).collect()
                }
                Task::Ordinal => {
                    // Above low and above mid, or both alike where the second would be likelier.
                    let p = sums.iter().map(|s| 1.0 / (1.0 + (-s).exp()));
                    let p: Vec<f64> = p.collect();
                    let (a, b) = match p[0] >= p[1] {
                        true => (p[0], p[1]),
                        false => ((p[0] + p[1]) / 2.0, (p[0] + p[1]) / 2.0),
                    };
                    vec![1.0 - a, a - b, b]
                }
                Task::Multiclass => {
                    let total: f64 = sums.iter().map(|s| s.exp()).sum();
                    sums.iter().map(|s| s.exp() / total).collect()
                }
            };
            let got = predictor.predict(&cells, &mut scratch);
            assert_eq!(got.len(), predictor.width());
            for (g, w) in got.iter().zip(&want) {
                assert!((g - w).abs() < 1e-5, "{task:?} {got:?} but {want:?}");
            }
        }
    }
}

#[test]
fn a_frame_is_predicted_as_its_rows_whatever_the_threads_and_the_order_of_columns() {
    let mut frame = frame(CHUNK + 700);
    let rows: Vec<u32> = (0..frame.rows() as u32).rev().collect();
    for task in TASKS {
        let predictor = predictor(task);
        let mut scratch = Scratch::default();
        let singly: Vec<f64> = rows
            .iter()
            .flat_map(|&row| {
                let cells = cells(&frame, row as usize);
                predictor.predict(&cells, &mut scratch).to_vec()
            })
            .collect();
        frame.columns.reverse();
        for threads in [0, 1, 2, 5] {
            let batch = predictor.predict_frame(&frame, &rows, threads);
            assert_eq!(batch, singly, "{task:?} with {threads} threads");
        }
        frame.columns.reverse();
        assert!(predictor.predict_frame(&frame, &[], 3).is_empty());
    }
}

#[test]
fn any_cell_gives_a_finite_answer() {
    let numbers = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        f64::MIN,
        1e-310,
    ];
    let mut strange: Vec<Cell> = numbers.iter().map(|&n| Cell::Number(n)).collect();
    strange.extend(numbers.iter().map(|&n| Cell::Duration(n)));
    strange.extend([
        Cell::Null,
        Cell::Boolean(true),
        Cell::Text(""),
        Cell::Text("never seen"),
        Cell::Time(i64::MIN),
        Cell::Time(i64::MAX),
        Cell::Time(0),
    ]);
    for task in TASKS {
        let predictor = predictor(task);
        let mut scratch = predictor.scratch();
        let columns = predictor.artifact().recipe.columns().len();
        for &cell in &strange {
            let answer = predictor.predict(&vec![cell; columns], &mut scratch);
            assert!(
                answer.iter().all(|v| v.is_finite()),
                "{task:?} {cell:?} {answer:?}"
            );
            let class = predictor.class(answer);
            assert!(class < 3);
        }
    }
}

#[test]
fn a_row_allocates_nothing() {
    let frame = frame(100);
    let rows: Vec<Vec<Cell>> = (0..100).map(|row| cells(&frame, row)).collect();
    for task in TASKS {
        let predictor = predictor(task);
        let mut scratch = predictor.scratch();
        let before = ALLOCATIONS.get();
        for cells in &rows {
            predictor.predict(cells, &mut scratch);
        }
        assert_eq!(ALLOCATIONS.get(), before, "{task:?}");
        // The counter counts.
        drop(predictor.scratch());
        assert!(ALLOCATIONS.get() > before);
    }
}

#[test]
fn a_scratch_of_another_model_does_no_harm() {
    let frame = frame(3);
    let cells = cells(&frame, 1);
    let mut scratch = Scratch::default();
    for task in TASKS {
        let predictor = predictor(task);
        let answer = predictor.predict(&cells, &mut scratch).to_vec();
        assert_eq!(answer, predictor.predict(&cells, &mut predictor.scratch()));
    }
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let refused = |task: Task, change: &dyn Fn(&mut Artifact)| {
        let mut artifact = model(task, &[24, 9], Activation::Relu);
        change(&mut artifact);
        assert!(matches!(
            Predictor::new(artifact),
            Err(ArtifactError::Damaged(_))
        ));
    };
    refused(Task::Binary, &|a| net(a).layers.clear());
    refused(Task::Binary, &|a| drop(net(a).layers.pop()));
    refused(Task::Binary, &|a| net(a).layers[1].weights.truncate(5));
    refused(Task::Binary, &|a| net(a).layers[0].bias.push(0.0));
    refused(Task::Binary, &|a| net(a).layers[1].inputs = 25);
    refused(Task::Binary, &|a| net(a).inputs.numbers += 1);
    refused(Task::Binary, &|a| net(a).inputs.categories.truncate(1));
    refused(Task::Binary, &|a| net(a).embeddings.push(vec![0.0]));
    refused(Task::Binary, &|a| net(a).output = Output::Identity);
    refused(Task::Binary, &|a| drop(a.target.labels.pop()));
    refused(Task::Multiclass, &|a| a.target.labels.push("more".into()));
    refused(Task::Regression, &|a| a.target.scale = f64::NAN);
    refused(Task::Regression, &|a| net(a).heads[0].bias[0] = f32::NAN);
}

#[test]
fn classes_follow_from_probabilities() {
    assert_eq!(decide(Task::Binary, 0.5, &[0.5]), 1);
    assert_eq!(decide(Task::Binary, 0.5, &[0.499_999]), 0);
    assert_eq!(decide(Task::Binary, 0.5, &[f64::NAN]), 0);
    assert_eq!(decide(Task::Multiclass, 0.5, &[0.2, 0.4, 0.4]), 1);
    assert_eq!(decide(Task::Multiclass, 0.5, &[]), 0);
}

#[test]
fn bytes_grow_with_the_network() {
    let small = predictor(Task::Binary).bytes();
    let large = Predictor::new(model(Task::Binary, &[512, 512], Activation::Relu)).unwrap();
    assert!(small > 1_000 && large.bytes() > small + 2 * 4 * 512 * 512);
}

#[test]
fn probabilities_do_not_overflow() {
    assert_eq!(
        [sigmoid(-1e30), sigmoid(0.0), sigmoid(1e30)],
        [0.0, 0.5, 1.0]
    );
    let mut out = [0.0; 3];
    softmax(&[1e38, -1e38, 1e38], 1.0, &mut out);
    assert_eq!(out, [0.5, 0.0, 0.5]);
}

#[test]
fn parts_answer_by_their_shares() {
    let frame = frame(200);
    let rows: Vec<u32> = (0..200).collect();
    // Probabilities of ordered labels may have to be pooled, which is not linear.
    for task in TASKS.into_iter().filter(|t| *t != Task::Ordinal) {
        let network = model(task, &[16, 8], Activation::Silu);
        let mut mixed = network.clone();
        add_trees(&mut mixed, 0.25);
        let mut trees = mixed.clone();
        trees.parts.remove(0);
        trees.parts[0].share = 1.0;
        let answer = |artifact: &Artifact| {
            let restored = Artifact::from_bytes(&artifact.to_bytes()).unwrap();
            Predictor::new(restored)
                .unwrap()
                .predict_frame(&frame, &rows, 1)
        };
        let (a, b, both) = (answer(&network), answer(&trees), answer(&mixed));
        for ((a, b), both) in a.iter().zip(&b).zip(&both) {
            assert!((0.75 * a + 0.25 * b - both).abs() < 1e-9, "{task:?}");
        }
        assert!(
            b.iter().any(|p| (p - b[0]).abs() > 1e-3),
            "the trees tell rows apart"
        );
    }
}
