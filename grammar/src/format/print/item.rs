//! Items, signatures and types.

use super::super::document::{Blank, Doc, Word};
use super::Printer;
use crate::Span;
use crate::ast::{
    Definition, Dim, DimKind, Expr, File, Ident, Item, ItemKind, Param, StaticParam, Train, Type,
    TypeKind,
};
use crate::format::WIDTH;

impl Printer<'_> {
    /// A whole file.
    pub(in super::super) fn file(&self, file: &File) -> Doc {
        let mut docs = Vec::new();
        let mut previous: Option<bool> = None;
        for item in &file.items {
            let tall = self.is_tall(item);
            let blank = match previous {
                Some(before) if before || tall => Blank::Force,
                _ => Blank::Keep,
            };
            if previous.is_some() {
                docs.push(Doc::HardLine);
            }
            docs.push(self.item(item, blank));
            previous = Some(tall);
        }
        docs.push(Doc::Comments(file.span.end as usize));
        Doc::Concat(docs)
    }

    /// Whether an item has a body that stands on several lines, and so is set apart from its neighbours.
    fn is_tall(&self, item: &Item) -> bool {
        let body = match &item.kind {
            ItemKind::Definition(definition) => &definition.body,
            ItemKind::Train(train) => &train.body,
            ItemKind::Let { .. } | ItemKind::Data { .. } | ItemKind::Import { .. } => return false,
        };
        let width = || self.item(item, Blank::Never).flat_width();
        !self.may_be_flat(body) || width().is_none_or(|width| width > WIDTH)
    }

    fn item(&self, item: &Item, blank: Blank) -> Doc {
        let keyword = |word: &str| {
            Doc::Word(Word {
                text: format!("{word} "),
                at: Some(item.span.start as usize),
                blank,
            })
        };
        match &item.kind {
            ItemKind::Let { name, value } => self.binding(keyword("let"), name, value),
            ItemKind::Data { name, value } => self.binding(keyword("data"), name, value),
            ItemKind::Import { path, name } => Doc::Concat(vec![
                keyword("import"),
                self.verbatim(path.span),
                Doc::mark(" as "),
                self.ident(name),
            ]),
            ItemKind::Definition(definition) => {
                self.definition(keyword(definition.kind.word()), definition)
            }
            ItemKind::Train(train) => self.train(keyword("train"), train),
        }
    }

    fn binding(&self, keyword: Doc, name: &Ident, value: &Expr) -> Doc {
        Doc::Concat(vec![
            keyword,
            self.ident(name),
            Doc::mark(" = "),
            self.expr(value),
        ])
    }

    /// What the source has at a place, which holds no line end.
    pub(super) fn verbatim(&self, span: Span) -> Doc {
        Doc::word(span.text(self.text.source), span.start as usize)
    }

    fn definition(&self, keyword: Doc, definition: &Definition) -> Doc {
        let name_end = definition.name.span.end as usize;
        let statics = self.statics(&definition.statics, name_end);
        let params_from = definition
            .statics
            .last()
            .map_or(name_end, |last| last.span.end as usize);
        let mut header = vec![keyword, self.ident(&definition.name), statics];
        if !definition.params.is_empty() {
            let entries = definition
                .params
                .iter()
                .map(|param| self.param(param))
                .collect();
            let last = definition
                .params
                .last()
                .map_or(params_from, |last| last.span.end as usize);
            header.push(self.bracketed("(", entries, ")", self.text.find(")", last)));
        }
        if !definition.results.is_empty() {
            let results = definition.results.iter().map(|ty| self.ty(ty)).collect();
            header.extend([Doc::mark(" -> "), self.listed(results)]);
        }
        self.with_body(Doc::Concat(header), &definition.body)
    }

    fn train(&self, keyword: Doc, train: &Train) -> Doc {
        let statics = self.statics(&train.statics, train.name.span.end as usize);
        let header = Doc::Concat(vec![keyword, self.ident(&train.name), statics]);
        self.with_body(header, &train.body)
    }

    fn statics(&self, statics: &[StaticParam], from: usize) -> Doc {
        let Some(last) = statics.last() else {
            return Doc::empty();
        };
        let entry = |param: &StaticParam| self.entry(&param.name, &param.ty, &param.default);
        let entries = statics.iter().map(entry).collect();
        let close = self.text.find("]", from.max(last.span.end as usize));
        self.bracketed("[", entries, "]", close)
    }

    fn param(&self, param: &Param) -> Doc {
        self.entry(&param.name, &param.ty, &param.default)
    }

    /// `name: type = default`; `name=default`.
    fn entry(&self, name: &Ident, ty: &Option<Type>, default: &Option<Expr>) -> Doc {
        let mut docs = vec![self.ident(name)];
        if let Some(ty) = ty {
            docs.extend([Doc::mark(": "), self.ty(ty)]);
        }
        if let Some(default) = default {
            let equals = if ty.is_some() { " = " } else { "=" };
            docs.extend([Doc::mark(equals), self.expr(default)]);
        }
        Doc::Concat(docs)
    }

    pub(super) fn ty(&self, ty: &Type) -> Doc {
        let start = ty.span.start as usize;
        let close = ty.span.end as usize - 1;
        match &ty.kind {
            TypeKind::Tensor { dtype, dims } => {
                let word = Doc::word(dtype.word(), start);
                let Some(dims) = dims else {
                    return word;
                };
                let dims = dims.iter().map(|dim| self.dim(dim)).collect();
                Doc::Concat(vec![word, self.bracketed("[", dims, "]", close)])
            }
            TypeKind::Static(kind) => Doc::word(kind.word(), start),
            TypeKind::List(element) => self.bracketed("[", vec![self.ty(element)], "]", close),
            TypeKind::Tuple(elements) => {
                let elements = elements.iter().map(|element| self.ty(element)).collect();
                self.bracketed("(", elements, ")", close)
            }
        }
    }

    fn dim(&self, dim: &Dim) -> Doc {
        match &dim.kind {
            DimKind::Rest => Doc::word("..", dim.span.start as usize),
            DimKind::Size(size) => self.expr(size),
        }
    }
}
