"""A Kubernetes cluster on this machine without containers: built from Go modules, run on loopback.

etcd, kube-apiserver, kube-controller-manager and kube-scheduler are the real ones; kwok plays the nodes, so pods are
scheduled, become ready and end as real ones do, and nothing runs in them. `python -m providers.kubernetes.emulated`.
"""
