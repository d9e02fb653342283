package definitions

import "time"

// Every bound of this room, with its reason. A file that goes beyond one gets
// a diagnosis that names the bound.
const (
	// MaxFileBytes of one YAML file: a thousand tasks with long prompts fit.
	MaxFileBytes = 1 << 20

	// MaxDepth of nesting: people nest ten levels, attackers ten thousand.
	MaxDepth = 64

	// MaxNodes of one file after its aliases are expanded, so that a few lines
	// of aliases to aliases cannot become gigabytes.
	MaxNodes = 50_000

	// MaxTextBytes of all scalars of one file after its aliases are expanded,
	// for the same reason.
	MaxTextBytes = 4 << 20

	// MaxBundleBytes of one stored bundle: a file of its own and what it
	// inherits from the project file.
	MaxBundleBytes = 8 << 20

	// MaxFiles that one project may read.
	MaxFiles = 1_000

	// MaxWorkflows of one project.
	MaxWorkflows = 1_000

	// MaxTasks of one workflow, inline ones and processors included.
	MaxTasks = 1_000

	// MaxTriggers of one workflow.
	MaxTriggers = 100

	// MaxResources of one kind - schemas, agents, tools or models - that one
	// mapping may define.
	MaxResources = 1_000

	// MaxVariables of one environment, which every template carries along.
	MaxVariables = 1_000

	// MaxDiagnostics are kept of one load: nobody reads more, and a file that
	// is wrong everywhere would otherwise cost memory without end.
	MaxDiagnostics = 200

	// MaxSecretsBytes of a .env file.
	MaxSecretsBytes = 256 << 10

	// MaxVersions that a catalog keeps compiled beside the current ones. An
	// older version is compiled again from its bundle when it is asked for.
	MaxVersions = 1_024

	// maxSourceWidth is how much of a source line a diagnosis shows.
	maxSourceWidth = 160

	// maxSourceLine is how long a line may be that a diagnosis carries along:
	// a longer one was written by a machine and tells a person nothing.
	maxSourceLine = 8 << 10

	// maxQuoted is how much of a wrong value a message repeats.
	maxQuoted = 60

	// maxChoice words that could have been meant are listed: a longer list is not read.
	maxChoice = 12

	// linesBack is how far before the broken line its cause is looked for: a
	// missing space shows only when the next key comes.
	linesBack = 3

	// The reference system's retry policy fills what a policy leaves out, so that a
	// workflow that comes from there is retried as it was.
	defaultAttempts    = 3
	defaultInitial     = time.Second
	defaultCoefficient = 2.0
	defaultMaximum     = time.Minute

	// maxCoefficient by which a hold may grow: with more the second one is as long as
	// the longest that is allowed, so it was meant to be something else.
	maxCoefficient = 1_000
)
