package executors

import "time"

// Every bound of the hands, with its reason. What a value may weigh once it is
// in a state is workflow.MaxValue.
const (
	// MaxResponseBytes of an HTTP tool's response body are read. More than the
	// core may keep in one value would only be thrown away later.
	MaxResponseBytes = 1 << 20

	// MaxResponseHeaderBytes of a response's header are read: what browsers
	// accept at least, and far below anything that hurts.
	MaxResponseHeaderBytes = 64 << 10

	// MaxModelResponseBytes of a model's answer on the wire are read. The text
	// inside is bounded by workflow.MaxValue; the rest is the envelope.
	MaxModelResponseBytes = 4 << 20

	// MaxProcessOutputBytes of a process tool's stdout are read; a tool that
	// floods is stopped there.
	MaxProcessOutputBytes = 1 << 20

	// MaxStderrBytes of a process tool's stderr are kept, from its end, because
	// the last lines say why it failed. With the mark of a cut it fits an excerpt.
	MaxStderrBytes = MaxExcerptBytes - 64

	// MaxExcerptBytes of a foreign text go into a failure: enough to recognise
	// an error page, and small enough for a history.
	MaxExcerptBytes = 2 << 10

	// MaxNowBytes of a request may be worked on within a turn of its execution: what
	// is larger takes a while and goes to a lane.
	MaxNowBytes = 64 << 10

	// MaxRedirects are followed by an HTTP tool: chains of real services are shorter.
	MaxRedirects = 5

	// MaxRetryAfter is the longest hold that a far side can ask for. A header
	// that says "next year" must not keep an execution for a year.
	MaxRetryAfter = time.Hour

	// MaxRepairs times a model is asked again after an answer that breaks the
	// schema. Models that fail three times in a row go on failing, and each
	// round costs money.
	MaxRepairs = 2

	// MaxAnswerStarts places of a model's text are tried as the beginning of a
	// JSON value, so that a text of a million braces costs nothing.
	MaxAnswerStarts = 64

	// MaxViolations of a schema are named in a failure; the first few are
	// usually the cause of the others.
	MaxViolations = 8

	// MaxSchemas compiled schemas are remembered: a project has dozens.
	MaxSchemas = 256

	// MaxMockDepth of nested objects and arrays are filled in by the mock
	// provider; below it only what is required is, so that a recursive schema ends.
	MaxMockDepth = 8

	// MaxMockParts objects, arrays and scalars are made by the mock provider
	// for one answer: more is no mock any more.
	MaxMockParts = 10_000

	// MaxMockText characters long is a text that the mock provider makes
	// because of a minLength.
	MaxMockText = 64 << 10

	// mockTextPart bytes of text weigh as much as one part of a value, so that many
	// long texts come to an end as well.
	mockTextPart = 128

	// maxMockNumber characters may a number of a schema have that the mock provider
	// keeps to, and maxMockSize is how large it may be, its inverse how small: an
	// exponent of a million digits is no bound that a mock could meet.
	maxMockNumber = 32
	maxMockSize   = 1e18

	// mockDigits behind the point are written of a number that has no end: as many as
	// tell any two numbers of 64 bits apart.
	mockDigits = 17

	// maxFirstLine bytes of what a far side wrote are repeated in a message, which is
	// one line of a log: the failure's details have the excerpt.
	maxFirstLine = 200

	// MinSecretBytes of a secret that a request uses are needed to strike it
	// out of outputs and failures: striking out "1" or "on" everywhere would
	// destroy them without hiding anything.
	MinSecretBytes = 4

	// MinUnusedSecretBytes of a secret that the request does not use are needed
	// to strike it out of failures. A far side can hardly know it, and short
	// ones such as "production" are words.
	MinUnusedSecretBytes = 12

	// minBase64Form characters of a secret's base64 are needed to strike it out: fewer
	// are found by chance.
	minBase64Form = 6

	// KillGrace is what a process has between SIGTERM and SIGKILL.
	KillGrace = 2 * time.Second

	// PipeGrace is how long the output of a process is still read after the
	// process itself has ended, when a child of it holds the pipe open.
	PipeGrace = KillGrace + time.Second

	// DialTimeout bounds the look-up and connection to one address; the whole
	// call is bounded by its context.
	DialTimeout = 10 * time.Second

	// TLSTimeout bounds one TLS handshake.
	TLSTimeout = 10 * time.Second

	// IdleTimeout is how long an idle connection to a tool or model is kept.
	IdleTimeout = 30 * time.Second

	// MaxIdlePerHost connections to one host are kept for the next call.
	MaxIdlePerHost = 16

	// DefaultWorkers jobs run at the same time in a lane of the pool when
	// nothing else is asked for: they mostly wait for the network.
	DefaultWorkers = 64

	// DefaultBacklog jobs wait in a lane of the pool when nothing else is asked for.
	DefaultBacklog = 10_000

	// MaxBacklogBytes of requests wait in a lane of the pool, whatever their
	// number, because one request may weigh a MiB.
	MaxBacklogBytes = 64 << 20

	// ProcessesPerCPU run at the same time: processes, unlike calls, use the
	// machine that the node itself runs on.
	ProcessesPerCPU = 4

	// MinBuiltinWorkers run echo and transform even on a machine of one CPU.
	MinBuiltinWorkers = 2
)
