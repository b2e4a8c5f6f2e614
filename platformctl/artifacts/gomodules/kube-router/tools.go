//go:build tools

// Package kuberouter pins the agent that enforces network policies. It is a module of its own, so that its
// versions of the Kubernetes libraries do not decide those of the other programs.
package kuberouter

import _ "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router"
