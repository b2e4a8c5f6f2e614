//go:build tools

// Package nvidia pins NVIDIA's device plugin. It is a module of its own because it needs other releases of
// Kubernetes' libraries than the rest.
package nvidia

import _ "github.com/NVIDIA/k8s-device-plugin/cmd/nvidia-device-plugin"
