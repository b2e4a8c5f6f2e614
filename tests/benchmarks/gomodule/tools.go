//go:build tools

// Package tools pins what benchmarks are built from.
package tools

import _ "sigs.k8s.io/kwok/cmd/kwok"
