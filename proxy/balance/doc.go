// Package balance spreads requests over several upstreams, as an
// http.RoundTripper over others. It owns three decisions, and no other package
// makes them:
//
//   - which upstream gets a request (Policy),
//   - whether a request that failed is sent once more (Balancer),
//   - and which upstreams get none for a while, because requests failed there
//     (passive), or checks did (active; Health).
//
// It knows nothing of what it balances: HTTP servers, FastCGI servers or
// anything else that is an http.RoundTripper. A *roundtrip.Error reports how far a
// request had come that failed.
package balance
