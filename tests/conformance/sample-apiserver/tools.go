//go:build tools

// Package tools pins the extension API server that the suite of 1.37 still runs.
package tools

import _ "k8s.io/sample-apiserver"
