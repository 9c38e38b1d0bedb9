//! Windows and convolutions of any rank as affine index maps.

use super::super::{AxisIndex, Contraction, Dim, Graph, NodeId, Op, Scalar, TypeError, View};
use dlm_grammar::Span;

/// A window along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowAxis {
    /// Elements of the window.
    pub kernel: i64,
    /// From one window to the next.
    pub stride: i64,
    /// From one element of the window to the next.
    pub dilation: i64,
    /// Positions before and after the axis that windows may reach.
    pub pad: (i64, i64),
}

impl WindowAxis {
    /// The number of windows along an axis of that extent.
    pub fn count(&self, extent: i64) -> Option<i64> {
        let span = self.dilation * (self.kernel - 1) + 1;
        let room = extent + self.pad.0 + self.pad.1 - span;
        (room >= 0 && self.stride > 0).then(|| room / self.stride + 1)
    }

    fn position(&self, window: usize, element: usize) -> AxisIndex {
        AxisIndex::affine(
            &[(window, self.stride), (element, self.dilation)],
            -self.pad.0,
            1,
        )
    }
}

/// The windows of a convolution, one for each spatial axis, and its groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvolutionShape {
    /// For each spatial axis.
    pub axes: Vec<WindowAxis>,
    /// Channels are cut into so many groups that do not mix.
    pub groups: i64,
}

fn spatial(dim: Dim, axis: &WindowAxis) -> Result<i64, TypeError> {
    let Some(extent) = dim.known() else {
        return Err(TypeError("a window along the batch".into()));
    };
    axis.count(extent).ok_or_else(|| {
        TypeError(format!(
            "a window of {} (dilation {}) does not fit {extent} elements with padding {:?}",
            axis.kernel, axis.dilation, axis.pad
        ))
    })
}

impl Graph {
    /// Windows over the last axes: `[.., H, W]` to `[.., windows.., elements..]`, with `fill` outside.
    ///
    /// # Errors
    /// Where a window does not fit.
    pub fn window(
        &mut self,
        a: NodeId,
        axes: &[WindowAxis],
        fill: Scalar,
        span: Span,
    ) -> Result<NodeId, TypeError> {
        let own = self.nodes[a].ty.shape.clone();
        let Some(first) = own.len().checked_sub(axes.len()) else {
            return Err(TypeError(format!(
                "{} window axes of {}",
                axes.len(),
                self.nodes[a].ty
            )));
        };
        let mut shape = own[..first].to_vec();
        let mut index: Vec<AxisIndex> = (0..first).map(AxisIndex::variable).collect();
        for (number, axis) in axes.iter().enumerate() {
            shape.push(Dim::fixed(spatial(own[first + number], axis)?));
            index.push(axis.position(first + number, first + axes.len() + number));
        }
        shape.extend(axes.iter().map(|axis| Dim::fixed(axis.kernel)));
        self.view(a, View { shape, index, fill }, span)
    }

    /// `x [B, C, spatial..]` with `w [O, C / groups, kernel..]` to `[B, O, windows..]` (PyTorch's `conv`, a
    /// cross-correlation).
    ///
    /// # Errors
    /// Where channels or windows do not fit.
    pub fn convolution(
        &mut self,
        x: NodeId,
        w: NodeId,
        windows: &ConvolutionShape,
        span: Span,
    ) -> Result<NodeId, TypeError> {
        let (xs, ws) = (
            self.nodes[x].ty.shape.clone(),
            self.nodes[w].ty.shape.clone(),
        );
        let rank = windows.axes.len();
        if xs.len() != rank + 2 || ws.len() != rank + 2 {
            return Err(TypeError(format!(
                "a convolution of {} with {}",
                self.nodes[x].ty, self.nodes[w].ty
            )));
        }
        let (Some(channels), Some(outputs), Some(each)) =
            (xs[1].known(), ws[0].known(), ws[1].known())
        else {
            return Err(TypeError("channels of run-time extent".into()));
        };
        let groups = windows.groups;
        if groups < 1 || channels != each * groups || outputs % groups != 0 {
            return Err(TypeError(format!(
                "{channels} channels in {groups} groups with weights for {each} each"
            )));
        }
        let mut counts = Vec::with_capacity(rank);
        for (number, axis) in windows.axes.iter().enumerate() {
            counts.push(Dim::fixed(spatial(xs[2 + number], axis)?));
        }
        if groups == 1 {
            return self.ungrouped(x, w, windows, &counts, span);
        }
        self.grouped(x, w, windows, &counts, span)
    }

    /// Variables: b, o, windows.., then c, elements...
    fn ungrouped(
        &mut self,
        x: NodeId,
        w: NodeId,
        windows: &ConvolutionShape,
        counts: &[Dim],
        span: Span,
    ) -> Result<NodeId, TypeError> {
        let (xs, ws) = (
            self.nodes[x].ty.shape.clone(),
            self.nodes[w].ty.shape.clone(),
        );
        let rank = counts.len();
        let mut shape = vec![xs[0], ws[0]];
        shape.extend_from_slice(counts);
        let channel = rank + 2;
        let mut x_index = vec![AxisIndex::variable(0), AxisIndex::variable(channel)];
        let mut w_index = vec![AxisIndex::variable(1), AxisIndex::variable(channel)];
        for (number, axis) in windows.axes.iter().enumerate() {
            x_index.push(axis.position(2 + number, channel + 1 + number));
            w_index.push(AxisIndex::variable(channel + 1 + number));
        }
        let contraction = Contraction {
            shape,
            reduced: ws[1..].to_vec(),
            operands: vec![x_index, w_index],
        };
        self.add(Op::Contract(contraction), &[x, w], span)
    }

    /// Variables: b, g, o in the group, windows.., then c in the group, elements..; groups and outputs are joined
    /// afterwards.
    fn grouped(
        &mut self,
        x: NodeId,
        w: NodeId,
        windows: &ConvolutionShape,
        counts: &[Dim],
        span: Span,
    ) -> Result<NodeId, TypeError> {
        let (xs, ws) = (
            self.nodes[x].ty.shape.clone(),
            self.nodes[w].ty.shape.clone(),
        );
        let (rank, groups) = (counts.len(), windows.groups);
        let (each_in, each_out) = (ws[1].fixed, ws[0].fixed / groups);
        let mut shape = vec![xs[0], Dim::fixed(groups), Dim::fixed(each_out)];
        shape.extend_from_slice(counts);
        let channel = rank + 3;
        let mut x_index = vec![
            AxisIndex::variable(0),
            AxisIndex::affine(&[(1, each_in), (channel, 1)], 0, 1),
        ];
        let mut w_index = vec![
            AxisIndex::affine(&[(1, each_out), (2, 1)], 0, 1),
            AxisIndex::variable(channel),
        ];
        for (number, axis) in windows.axes.iter().enumerate() {
            x_index.push(axis.position(3 + number, channel + 1 + number));
            w_index.push(AxisIndex::variable(channel + 1 + number));
        }
        let contraction = Contraction {
            shape,
            reduced: ws[1..].to_vec(),
            operands: vec![x_index, w_index],
        };
        let result = self.add(Op::Contract(contraction), &[x, w], span)?;
        let mut joined = vec![xs[0], ws[0]];
        joined.extend_from_slice(counts);
        self.reshape(result, &joined, span)
    }

    /// `x [B, C, spatial..]` with `w [C, O / groups, kernel..]` to `[B, O, ..]` (PyTorch's `conv_transpose`): the
    /// gradient of a convolution with respect to its input. `output_pad` adds positions at the end of each axis.
    ///
    /// # Errors
    /// Where channels do not fit.
    pub fn transposed_convolution(
        &mut self,
        x: NodeId,
        w: NodeId,
        windows: &ConvolutionShape,
        output_pad: &[i64],
        span: Span,
    ) -> Result<NodeId, TypeError> {
        let (xs, ws) = (
            self.nodes[x].ty.shape.clone(),
            self.nodes[w].ty.shape.clone(),
        );
        let (rank, groups) = (windows.axes.len(), windows.groups);
        let known = (
            xs.get(1).and_then(|d| d.known()),
            ws.first().and_then(|d| d.known()),
        );
        if xs.len() != rank + 2
            || ws.len() != rank + 2
            || known.0 != known.1
            || known.0.is_none_or(|c| c % groups != 0)
        {
            return Err(TypeError(format!(
                "a convolution of {} with {}",
                self.nodes[x].ty, self.nodes[w].ty
            )));
        }
        let (each_in, each_out) = (ws[0].fixed / groups, ws[1].fixed);
        let mut shape = vec![xs[0], Dim::fixed(groups), Dim::fixed(each_out)];
        for (number, axis) in windows.axes.iter().enumerate() {
            let extent = xs[2 + number].known().unwrap_or(1);
            let span_of = axis.dilation * (axis.kernel - 1) + 1;
            let out =
                (extent - 1) * axis.stride - axis.pad.0 - axis.pad.1 + span_of + output_pad[number];
            shape.push(Dim::fixed(out));
        }
        let channel = rank + 3;
        let mut x_index = vec![
            AxisIndex::variable(0),
            AxisIndex::affine(&[(1, each_in), (channel, 1)], 0, 1),
        ];
        let mut w_index = vec![
            AxisIndex::affine(&[(1, each_in), (channel, 1)], 0, 1),
            AxisIndex::variable(2),
        ];
        let mut reduced = vec![Dim::fixed(each_in)];
        for (number, axis) in windows.axes.iter().enumerate() {
            let terms = [(3 + number, 1), (channel + 1 + number, -axis.dilation)];
            x_index.push(AxisIndex::affine(&terms, axis.pad.0, axis.stride));
            w_index.push(AxisIndex::variable(channel + 1 + number));
            reduced.push(Dim::fixed(axis.kernel));
        }
        let mut joined = vec![xs[0], Dim::fixed(groups * each_out)];
        joined.extend_from_slice(&shape[3..]);
        let contraction = Contraction {
            shape,
            reduced,
            operands: vec![x_index, w_index],
        };
        let result = self.add(Op::Contract(contraction), &[x, w], span)?;
        self.reshape(result, &joined, span)
    }
}
