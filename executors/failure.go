package executors

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// The codes of failures. They are stable: retry policies name them, and
// docs/tools.md explains each.
const (
	CodeAddressRefused   = "ADDRESS_REFUSED"
	CodeCanceled         = "CANCELED"
	CodeFailed           = "FAILED" // an executor gave no better code
	CodeHTTPStatus       = "HTTP_STATUS"
	CodeInputInvalid     = "INPUT_INVALID"
	CodeMockFailure      = "MOCK_FAILURE"
	CodeModelAnswer      = "MODEL_ANSWER"
	CodeModelConfig      = "MODEL_CONFIG"
	CodeModelRefused     = "MODEL_REFUSED"
	CodeModelStatus      = "MODEL_STATUS"
	CodeNetwork          = "NETWORK"
	CodeOutputInvalid    = "OUTPUT_INVALID"
	CodeOutputNotJSON    = "OUTPUT_NOT_JSON"
	CodeOutputTooLarge   = "OUTPUT_TOO_LARGE"
	CodePanic            = "PANIC"
	CodeProcessExit      = "PROCESS_EXIT"
	CodeProcessStart     = "PROCESS_START"
	CodeRedirectRefused  = "REDIRECT_REFUSED"
	CodeRequestInvalid   = "REQUEST_INVALID"
	CodeResponseTooLarge = "RESPONSE_TOO_LARGE"
	CodeSchemaInvalid    = "SCHEMA_INVALID"
	CodeSecretMissing    = "SECRET_MISSING"
	CodeTimeout          = "TIMEOUT"
	CodeTLS              = "TLS"
	CodeUnknownExecutor  = "UNKNOWN_EXECUTOR"
	CodeUnknownTool      = "UNKNOWN_TOOL"
)

// permanent makes a failure that no retry can help.
func permanent(code, format string, args ...any) *Failure {
	return &Failure{Code: code, Message: fmt.Sprintf(format, args...), Permanent: true}
}

// invalid is the failure of a tool whose request breaks a rule.
func invalid(spec *toolSpec, err error) *Failure {
	return permanent(CodeRequestInvalid, "%s: %s", spec.name(), excerpt(err.Error()))
}

// passing makes a failure that a retry may help.
func passing(code, format string, args ...any) *Failure {
	return &Failure{Code: code, Message: fmt.Sprintf(format, args...)}
}

// ended says why a context ended, or returns nil while it has not. A cause that
// is a failure of ours, such as a tool's own timeout, speaks for itself.
func ended(ctx context.Context, job Job) *Failure {
	if ctx.Err() == nil {
		return nil
	}
	var known *Failure
	if errors.As(context.Cause(ctx), &known) {
		return known
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return passing(CodeTimeout, "the attempt did not end within %s; raise the task's timeout, or find out why it is slow", timeoutOf(job))
	}
	return permanent(CodeCanceled, "the attempt was cancelled because its result no longer matters")
}

// timeoutOf is the timeout of one attempt.
func timeoutOf(job Job) time.Duration {
	return job.Timeout.Round(time.Millisecond)
}

// failureOf turns an error of a call to outside into a failure. what names the
// call: "tool pay: POST https://example.com/charge".
func failureOf(ctx context.Context, job Job, what string, err error) *Failure {
	var known *Failure
	if errors.As(err, &known) {
		return known
	}
	if f := ended(ctx, job); f != nil {
		return f
	}
	var refused *refusedAddress
	if errors.As(err, &refused) {
		return permanent(CodeAddressRefused, "%s: %s", what, refused.Error())
	}
	if badCertificate(err) {
		return permanent(CodeTLS, "%s: the certificate is not trusted (%s); correct the host name, or add the authority to the certificates of the machine", what, withoutURL(err))
	}
	return passing(CodeNetwork, "%s: %s; the far side or the way to it is down, a retry may help", what, withoutURL(err))
}

// badCertificate reports whether err says that a peer is not who it claims to be.
func badCertificate(err error) bool {
	var verification *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	return errors.As(err, &verification) || errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &invalid)
}

// withoutURL is the text of an error without the address that net/http puts
// in front of it: addresses may carry keys in their query.
func withoutURL(err error) string {
	var u *url.Error
	for errors.As(err, &u) && u.Err != nil {
		err = u.Err
	}
	return excerpt(err.Error())
}

// excerpt is a foreign text made fit for a failure: valid, trimmed, bounded.
func excerpt(text string) string {
	cut := len(text) > MaxExcerptBytes
	if cut {
		text = text[:MaxExcerptBytes]
	}
	text = strings.TrimSpace(strings.ToValidUTF8(text, string(utf8.RuneError)))
	if cut {
		text += "..."
	}
	return text
}

// retryAfter reads what a response asks for, bounded by MaxRetryAfter; zero
// when it asks for nothing or in a way that nobody can read.
func retryAfter(h http.Header, now time.Time) time.Duration {
	if hold, ok := scaled(h.Get("Retry-After-Ms"), time.Millisecond); ok {
		return hold
	}
	text := strings.TrimSpace(h.Get("Retry-After"))
	if hold, ok := scaled(text, time.Second); ok {
		return hold
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(at.Sub(now), 0), MaxRetryAfter)
	}
	return 0
}

// scaled reads a count of units as a bounded duration.
func scaled(text string, unit time.Duration) (time.Duration, bool) {
	n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil && !math.IsInf(n, 1) || math.IsNaN(n) || n < 0 {
		return 0, false
	}
	return time.Duration(min(n*float64(unit), float64(MaxRetryAfter))), true
}

// worthARetry reports whether a status may pass by itself.
func worthARetry(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return status >= 500
}
