//go:build tools

// Package rdmashared pins the device plugin that shares RDMA devices among pods. It is a module of its own because it
// needs other releases of Kubernetes' libraries than the rest.
package rdmashared

import _ "github.com/Mellanox/k8s-rdma-shared-dev-plugin/cmd/k8s-rdma-shared-dp"
