//! Every kind of diagnostic that elaboration makes.

dlm_grammar::codes! {
    // Names and files
    UNKNOWN_NAME = "unknown-name", "a name that nothing in scope has";
    UNKNOWN_MEMBER = "unknown-member", "what stands before the dot has no part of that name";
    DUPLICATE_NAME = "duplicate-name", "two definitions of one name in the same place";
    NAME_CASE = "name-case", "a block whose name begins in lower case, or a function whose name begins in upper case";
    IMPORT = "import", "an imported file cannot be read, or lies outside the program's folder";
    RECURSION = "recursion", "a definition that is made of itself";
    NO_TRAIN = "no-train", "the run that was asked for is not in the file";
    NO_ENTRY = "no-entry", "the function or block that was asked for is not in the file";
    OVERRIDE = "override", "a value from the command line does not fit the program";

    // Calls
    UNKNOWN_STATIC = "unknown-static", "the callee has no compile-time parameter of that name";
    TOO_MANY_STATICS = "too-many-statics", "more compile-time values than the callee has parameters";
    MISSING_STATIC = "missing-static", "a compile-time parameter without a value";
    TWICE_GIVEN = "twice-given", "a value for one parameter given twice";
    STATIC_TYPE = "static-type", "a compile-time value of the wrong type";
    STATIC_RANGE = "static-range", "a compile-time value outside of what is allowed";
    NOT_COMPILE_TIME = "not-compile-time", "a value that must be known when the program is compiled is not";
    UNKNOWN_ARGUMENT = "unknown-argument", "the callee has no tensor parameter of that name";
    STATIC_IN_PARENTHESES = "static-in-parentheses", "a compile-time value among a call's tensors";
    TOO_MANY_ARGUMENTS = "too-many-arguments", "more tensors than the callee has parameters";
    MISSING_ARGUMENT = "missing-argument", "a tensor parameter without a value";
    NOT_CALLABLE = "not-callable", "a call of something that cannot be called";
    NOT_A_TENSOR = "not-a-tensor", "a tensor is needed where something else stands";
    NO_RESULT = "no-result", "a body that ends without `return`";
    RESULT_COUNT = "result-count", "another number of results than declared";
    UNPACK = "unpack", "a value that does not come apart into as many names";

    // Types and shapes
    ELEMENT_TYPE = "element-type", "elements of the wrong type";
    MIXED_TYPES = "mixed-types", "an operation on elements of two types";
    FRACTION = "fraction", "a number with a fraction where whole numbers are needed";
    RANK = "rank", "a tensor of the wrong number of dimensions";
    DIMENSION = "dimension", "a dimension of the wrong size";
    DIMENSION_CONFLICT = "dimension-conflict", "one dimension variable with two sizes";
    BROADCAST = "broadcast", "shapes that do not broadcast";
    UNBOUND_DIMENSION = "unbound-dimension", "a dimension that nothing determines";
    AXIS = "axis", "an axis that the tensor does not have";
    INDEX = "index", "an index or slice that lies outside";
    SHAPE = "shape", "a shape that an operation cannot take";
    PATTERN = "pattern", "a pattern of `einsum` or `rearrange` that cannot be read or does not fit";
    OPERAND = "operand", "an operator on values that it does not apply to";
    ARITHMETIC = "arithmetic", "compile-time arithmetic without a result";
    CONDITION = "condition", "a condition that is not a truth value known when the program is compiled";
    BATCH_DEPENDENT = "batch-dependent", "a size that must be fixed depends on the batch";

    // Blocks, parameters, states
    NO_INSTANCE_HERE = "no-instance-here", "a block is made where no instances can be";
    NOT_CALLED_YET = "not-called-yet", "a part of an instance that has not been called";
    PARAMETER_TYPE = "parameter-type", "a parameter or state of another type than at the first call";
    SAME_PATH = "same-path", "two parameters with one path";
    INIT = "init", "a value that cannot initialize";
    NOT_A_STATE = "not-a-state", "`<-` on something that is not a state";
    NOT_A_LET = "not-a-let", "`=` on a name that is not a `let` of this body";
    TOO_MANY_ROUNDS = "too-many-rounds", "a loop with too many rounds to be written out";

    // Data
    DATA_SOURCE = "data-source", "a data source that cannot be used as written";
    DATA_STAGE = "data-stage", "a stage that does not exist or does not fit the data";
    NOT_DATA = "not-data", "data is needed where something else stands";
    NO_BATCH = "no-batch", "data without a batch size";
    DATA_PATTERN = "data-pattern", "a pattern that does not fit the parts of a sample";

    // Training
    LOSS = "loss", "a loss that is not a scalar of floats";
    NOT_AN_OPTIMIZER = "not-an-optimizer", "`minimize` with something that is not an optimizer";
    OPTIMIZER_TARGET = "optimizer-target", "an optimizer over something that has no parameters";
    TWO_OPTIMIZERS = "two-optimizers", "one parameter in two optimizers";
    UNTRAINED = "untrained", "a parameter that no loss reaches";
    GRADIENT = "gradient", "a gradient that does not exist";
    REPORT = "report", "a report that has no name, a name that is taken, or no value";
    LARGE = "large", "a value too large to be handled";
}

/// The kinds whose mistake may come from the sizes that a definition was tried with.
pub(super) const OF_GUESSES: &[dlm_grammar::Code] = &[
    RANK,
    DIMENSION,
    DIMENSION_CONFLICT,
    BROADCAST,
    UNBOUND_DIMENSION,
    AXIS,
    INDEX,
    SHAPE,
    PATTERN,
    OPERAND,
    ARITHMETIC,
    CONDITION,
    BATCH_DEPENDENT,
    NOT_COMPILE_TIME,
    STATIC_TYPE,
    STATIC_RANGE,
    FRACTION,
    UNPACK,
    NO_RESULT,
    RESULT_COUNT,
    PARAMETER_TYPE,
    INIT,
    RECURSION,
    TOO_MANY_ROUNDS,
    LARGE,
];

/// The kinds whose mistake may lie in what a caller passed.
pub(super) const OF_SIZES: &[dlm_grammar::Code] =
    &[RANK, DIMENSION, DIMENSION_CONFLICT, BROADCAST, SHAPE];
