// Package http is the front door: the route table as data, handlers that
// deliver signals and events as messages to a Node, keys and scopes, problem
// responses, server-sent events, the OpenAPI document, and the typed client
// that the command line uses. It knows nothing of actors or stores.
package http
