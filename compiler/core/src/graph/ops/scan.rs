//! Loops over rounds. The derivative is in `passes/autodiff/scan.rs`, as it takes all results together.

use super::super::error::ensure;
use super::super::eval::{EvalError, Evaluation, Tensor, run_body};
use super::super::scan::{Role, Scan, arguments, round_type, row_type, stacked_type};
use super::super::{Graph, TensorType, TypeError};

pub(super) fn infer(scan: &Scan, inputs: &[&TensorType]) -> Result<TensorType, TypeError> {
    let body = scan.body.graph();
    let fixed = scan.captures + scan.carries;
    ensure(scan.rounds >= 1, || {
        "a scan has at least one round".to_string()
    })?;
    ensure(fixed <= inputs.len(), || {
        format!(
            "a scan with {fixed} captures and carries has {} inputs",
            inputs.len()
        )
    })?;
    ensure(
        scan.carries <= scan.results() && scan.result < scan.results(),
        || format!("a scan's body has {} outputs", scan.results()),
    )?;
    for stacked in &inputs[fixed..] {
        let rows = stacked.shape.first().and_then(|dim| dim.known());
        ensure(rows == Some(scan.rounds), || {
            format!("{stacked} has no row for each of {} rounds", scan.rounds)
        })?;
    }
    for (number, node) in arguments(body) {
        let wanted = match scan.role(number, inputs.len()) {
            Role::Capture | Role::Carry(_) => inputs[number].clone(),
            Role::Row => row_type(inputs[number]),
            Role::Round => round_type(),
        };
        ensure(number <= inputs.len() && *body.ty(node) == wanted, || {
            format!(
                "argument {number} of a body is {}, not {wanted}",
                body.ty(node)
            )
        })?;
    }
    for (carry, initial) in inputs[scan.captures..fixed].iter().enumerate() {
        let next = output_type(body, carry)?;
        ensure(next == *initial, || {
            format!("a carry that begins as {initial} goes on as {next}")
        })?;
    }
    if scan.result < scan.carries {
        return Ok(inputs[scan.captures + scan.result].clone());
    }
    Ok(stacked_type(output_type(body, scan.result)?, scan.rounds))
}

fn output_type(body: &Graph, number: usize) -> Result<&TensorType, TypeError> {
    let node = body.outputs.get(number).map(|output| output.node);
    let node = node.and_then(|node| body.nodes.get(node));
    let missing = || TypeError(format!("output {number} of a body does not exist"));
    node.map(|node| &node.ty).ok_or_else(missing)
}

pub(crate) fn evaluate(
    scan: &Scan,
    at: &Evaluation<'_>,
    single: bool,
) -> Result<Tensor, EvalError> {
    let body = scan.body.graph();
    let mut arguments: Vec<Tensor> = at.operands.iter().map(|&value| value.clone()).collect();
    arguments.push(Tensor::scalar(0.0));
    let mut rows: Vec<Option<Tensor>> = vec![None; scan.rounds.max(0) as usize];
    for step in 0..scan.rounds {
        let round = if scan.reverse {
            scan.rounds - 1 - step
        } else {
            step
        };
        for (number, &operand) in at.operands.iter().enumerate() {
            if scan.role(number, at.operands.len()) == Role::Row {
                arguments[number] = row(operand, round);
            }
        }
        arguments[at.operands.len()] = Tensor::scalar(round as f64);
        let mut results = run_body(body, at.batch, &arguments, single)?;
        if scan.result >= scan.carries {
            rows[round as usize] = Some(results[scan.result].clone());
        }
        for (carry, next) in results.drain(..scan.carries).enumerate() {
            arguments[scan.captures + carry] = next;
        }
    }
    if scan.result < scan.carries {
        return Ok(arguments[scan.captures + scan.result].clone());
    }
    let data = rows.into_iter().flatten().flat_map(|row| row.data);
    Ok(Tensor::new(at.shape, data.collect()))
}

fn row(stacked: &Tensor, round: i64) -> Tensor {
    let shape = &stacked.shape[1..];
    let size = shape.iter().product::<i64>() as usize;
    let begin = round as usize * size;
    Tensor::new(shape, stacked.data[begin..begin + size].to_vec())
}
