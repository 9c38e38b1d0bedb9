//! The whole numbers that a definition names, which sizes are likely to be made for.

use dlm_grammar::ast::{
    Body, BracketKind, Definition, DimKind, Expr, ExprKind, Stmt, StmtKind, Type, TypeKind,
};

/// The numbers in the types and the body of a definition, and products of two that stand side by side, each once.
pub(super) fn numbers(definition: &Definition, most: usize) -> Vec<i64> {
    let mut found = Vec::new();
    let types = definition
        .params
        .iter()
        .filter_map(|param| param.ty.as_ref());
    types
        .chain(&definition.results)
        .for_each(|ty| of_type(ty, &mut found));
    of_body(&definition.body, &mut found);
    let products: Vec<i64> = found
        .windows(2)
        .filter_map(|pair| pair[0].checked_mul(pair[1]))
        .collect();
    let mut once = Vec::new();
    for number in found.into_iter().chain(products) {
        if (2..=1 << 14).contains(&number) && !once.contains(&number) {
            once.push(number);
        }
    }
    once.truncate(most);
    once
}

fn of_type(ty: &Type, found: &mut Vec<i64>) {
    if let TypeKind::Tensor { dims, .. } = &ty.kind {
        for dim in dims.iter().flatten() {
            if let DimKind::Size(size) = &dim.kind {
                of_expr(size, found);
            }
        }
    }
}

fn of_body(body: &Body, found: &mut Vec<i64>) {
    body.statements
        .iter()
        .for_each(|stmt| of_statement(stmt, found));
}

fn of_statement(stmt: &Stmt, found: &mut Vec<i64>) {
    match &stmt.kind {
        StmtKind::Let { value, .. }
        | StmtKind::Rebind { value, .. }
        | StmtKind::Update { value, .. } => {
            of_expr(value, found);
        }
        StmtKind::Param { ty, .. } => of_type(ty, found),
        StmtKind::State { ty, .. } => ty.iter().for_each(|ty| of_type(ty, found)),
        StmtKind::Return { values } => values.iter().for_each(|value| of_expr(value, found)),
        StmtKind::For { iterable, body, .. } => {
            of_expr(iterable, found);
            of_body(body, found);
        }
        StmtKind::If {
            branches,
            otherwise,
        } => {
            for branch in branches {
                of_expr(&branch.condition, found);
                of_body(&branch.body, found);
            }
            otherwise.iter().for_each(|body| of_body(body, found));
        }
        _ => {}
    }
}

fn of_expr(expr: &Expr, found: &mut Vec<i64>) {
    match &expr.kind {
        ExprKind::Int(number) => found.push(*number),
        ExprKind::Paren(inside)
        | ExprKind::Unary {
            operand: inside, ..
        }
        | ExprKind::Access { base: inside, .. } => of_expr(inside, found),
        ExprKind::Call { callee, args } => {
            of_expr(callee, found);
            args.iter()
                .for_each(|argument| of_expr(&argument.value, found));
        }
        ExprKind::Bracket { base, items } => {
            of_expr(base, found);
            for item in items {
                if let BracketKind::Value(value) | BracketKind::Named { value, .. } = &item.kind {
                    of_expr(value, found);
                }
            }
        }
        ExprKind::Tuple(items) | ExprKind::List(items) => {
            items.iter().for_each(|item| of_expr(item, found));
        }
        ExprKind::If {
            branches,
            otherwise,
        } => {
            for branch in branches {
                of_expr(&branch.condition, found);
                of_expr(&branch.value, found);
            }
            of_expr(otherwise, found);
        }
        ExprKind::Binary {
            left: a, right: b, ..
        }
        | ExprKind::Range { start: a, end: b } => {
            of_expr(a, found);
            of_expr(b, found);
        }
        ExprKind::Pipe { source, stages } => {
            of_expr(source, found);
            stages.iter().for_each(|stage| of_expr(stage, found));
        }
        _ => {}
    }
}
