//go:build tools

// Package flannelcni pins the CNI meta plugin `flannel`. It is a module of its own because flannel
// itself needs a newer release of the same plugins module, in which the meta plugin is gone.
package flannelcni

import _ "github.com/containernetworking/plugins/plugins/meta/flannel"
