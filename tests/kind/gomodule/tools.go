//go:build tools

// Package tools pins what a kind cluster is made with.
package tools

import (
	_ "sigs.k8s.io/cri-tools/cmd/crictl"
	_ "sigs.k8s.io/kind"
)
