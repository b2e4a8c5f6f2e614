//go:build tools

// Package draexample pins the DRA driver of simulated GPUs. It is a module of its own because it needs other releases
// of Kubernetes' libraries than the rest.
package draexample

import _ "sigs.k8s.io/dra-example-driver/cmd/dra-example-kubeletplugin"
