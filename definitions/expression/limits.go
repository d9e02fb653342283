package expression

// Every bound of this room, with its reason. The size of a rendered value is
// workflow.MaxValue.
const (
	// MaxSteps is the work that rendering one template may do. A step is one
	// node evaluated, one turn of a loop, or some bytes made by a function;
	// 100,000 of them take some ten milliseconds, and ordinary templates take
	// fewer than a hundred.
	MaxSteps = 100_000

	// stepBytes made by a function cost one step, so that no pipeline can
	// produce more than about 6 MiB in all.
	stepBytes = 64

	// scanBytes of JSON searched or decoded cost one step: reading is some
	// hundred MB per second, so a step stays below a microsecond.
	scanBytes = 256

	// walkedItems of a list or an object that are looked at cost one step, copiedItems
	// that get a place of their own as well: neither makes text, which is counted apart.
	walkedItems = 8
	copiedItems = 4

	// prettyShare is how many times longer JSON may get by spaces and line breaks,
	// counted before they are made: short values that are nested a few levels deep.
	prettyShare = 4

	// regexWork is how many pairs of (input byte, regular expression
	// instruction) cost one step; RE2 visits each pair at most once.
	regexWork = 128

	// maxCalls is how deep templates may call each other. Nobody writes thirty
	// levels on purpose, and the budget is never the one to find recursion.
	maxCalls = 32

	// maxNesting of parentheses and blocks in one string, which bounds the
	// stack of both parser and evaluator.
	maxNesting = 100

	// MaxStringBytes of one templated string or one condition: the largest
	// prompts are a tenth of that, and a definition is 1 MiB in all.
	MaxStringBytes = 256 << 10

	// MaxDepth of a tree of templates, a schema or a JSON value. Payloads are
	// held to 64 at the front door; outputs wrap them in a few levels more.
	MaxDepth = 128

	// maxTreeNodes of one tree of templates, as many as a definition may have.
	maxTreeNodes = 50_000

	// maxWidth is the largest width or precision in a printf directive and the
	// largest indentation: more is never a layout but an attack.
	maxWidth = 1_000

	// maxItems is the longest list that until, seq and the like make by
	// themselves; a longer one cannot be walked within MaxSteps anyway.
	maxItems = 10_000

	// maxCount is how far from zero a count may begin or end: differences of two such
	// numbers are exact everywhere, and nobody counts that far.
	maxCount = 1 << 40

	// maxSeconds of a duration that is given as a number: 272 years, which is nearly
	// what a length of time in nanoseconds can hold.
	maxSeconds = 1 << 33

	// minUnix and maxUnix are the years 1 and 9999, beyond which RFC 3339 has no form.
	minUnix = -62135596800
	maxUnix = 253402300799

	// maxDecimals are kept by round: a number of 64 bits has no more that mean anything.
	maxDecimals = 15

	// maxPatternBytes of a regular expression.
	maxPatternBytes = 1_000

	// maxPatterns stay compiled in the process, more than a project has.
	maxPatterns = 256

	// maxKeptOut bytes of room are kept for the next text: a rare giant should not stay
	// in the pool.
	maxKeptOut = 64 << 10

	// maxLocated actions of a broken template are parsed one after the other to find the
	// one that is wrong: each costs as much as all before it, and who has more is shown
	// the place that was reached.
	maxLocated = 256

	// blockWindow bytes behind {{ are looked at for a word that opens or ends a block:
	// the longest has eight, and there is room for spaces.
	blockWindow = 32

	// maxSealNested functions may be put off on one secret; three is unusual.
	maxSealNested = 8

	// minScrubbed is the length in bytes from which a secret is searched for in
	// reasons: shorter ones would blot out ordinary words.
	minScrubbed = 4

	// maxDecoded texts are remembered as decoded per run; a template that
	// refers to more of them decodes the later ones again.
	maxDecoded = 64

	// maxSearches of one JSON text before it is decoded: for fewer names a
	// search is cheaper than the maps that decoding makes.
	maxSearches = 3

	// MaxCost is the CEL cost of judging one condition, and about a
	// millisecond of work at worst.
	MaxCost = 10_000

	// maxMatchWork is how many pairs of (text byte, pattern instruction) matching
	// in a condition may visit: a tenth of a second at worst.
	maxMatchWork = 8 << 20

	// bytesPerCost of text, elementsPerCost of a list or object and
	// matchWorkPerCost of matching are one unit of CEL cost each: some
	// hundredths of a microsecond, so MaxCost allows texts of half a MiB.
	bytesPerCost     = 64
	elementsPerCost  = 16
	matchWorkPerCost = 2048

	// MaxReasonBytes of why a condition is false: it is kept with the signal
	// and shown in one line.
	MaxReasonBytes = 256

	// MaxExplanationBytes of a condition with its values filled in: one line that
	// a person reads, longer than a reason because it shows the whole condition.
	MaxExplanationBytes = 1024

	// maxSpots of one condition get their values filled in; who reads more than
	// that reads the source.
	maxSpots = 64

	// maxReasonValue bytes of one value shown inside a reason.
	maxReasonValue = 64

	// maxReasonDepth of lists and objects of one value are written inside a reason,
	// which has no room for more than their beginning.
	maxReasonDepth = 2

	// maxPrograms compiled from one condition with template actions are kept:
	// executions of one workflow mostly render it to a few distinct texts.
	maxPrograms = 16

	// maxViolations are reported for one value; the first few say enough.
	maxViolations = 32

	// maxSchemaNodes of one schema document.
	maxSchemaNodes = 10_000

	// maxSchemaWork is how many times schemas may be applied while one value is
	// checked: it stops documents whose references multiply.
	maxSchemaWork = 200_000

	// maxMistakes are reported for one tree of templates at once.
	maxMistakes = 64
)
