"""The mesh file as the tests change it. It is written as JSON, which is YAML."""

import copy
import json
import os

TRUST_DOMAIN = "cluster.local"
NAMESPACE = "shop"
VIP_V4 = "10.96.4.2"
VIP_V6 = "fd00:96::2"
CART_PORT = 9000


def uid(name):
    return f"c0//Pod/{NAMESPACE}/{name}"


def spiffe_id(account, trust_domain=TRUST_DOMAIN):
    return f"spiffe://{trust_domain}/ns/{NAMESPACE}/sa/{account}"


class Mesh:
    """`document` is what will be written; tests change it freely. `engine` is the TLS engine of
    its agents; None leaves it out of the file."""

    def __init__(self, path, engine=None):
        self.path = path
        self.document = {
            "workloads": [],
            "services": [],
            "policies": [],
            "pods": {},
            "peerAuthentications": [],
        }
        if engine is not None:
            self.document["tlsEngine"] = engine

    def copy(self):
        return copy.deepcopy(self)

    def add_pod(self, pod, **more):
        """A workload with an identity named after the pod, and the pod's namespace."""
        self.document["workloads"].append(
            {
                "uid": uid(pod.name),
                "name": pod.name,
                "namespace": NAMESPACE,
                "serviceAccount": pod.name,
                "trustDomain": TRUST_DOMAIN,
                "workloadIps": [pod.v4, pod.v6],
                "protocol": "HBONE",
                "node": pod.host.name,
                "services": {},
            }
            | more
        )
        self.document["pods"][uid(pod.name)] = {"netns": f"pid:{pod.namespace.holder.pid}"}

    def workload(self, name):
        return next(w for w in self.document["workloads"] if w["name"] == name)

    def pod(self, name):
        return self.document["pods"][uid(name)]

    def add_service(self, name, vips, ports):
        """A service; `ports` maps its ports to those of its endpoints."""
        self.document["services"].append(
            {
                "name": name,
                "namespace": NAMESPACE,
                "hostname": f"{name}.{NAMESPACE}.svc.cluster.local",
                "vips": [f"/{vip}" for vip in vips],
                "ports": ports,
            }
        )

    def add_endpoint(self, service, workload, ports):
        self.workload(workload)["services"][
            f"{NAMESPACE}/{service}.{NAMESPACE}.svc.cluster.local"
        ] = ports

    def add_policy(self, name, action, **match):
        """A policy of the namespace with one rule of one clause of one match."""
        self.document["policies"].append(
            {
                "name": name,
                "namespace": NAMESPACE,
                "scope": "Namespace",
                "action": action,
                "dryRun": False,
                "rules": [[[match]]],
            }
        )

    def set_mode(self, mode, namespace=NAMESPACE):
        """STRICT, PERMISSIVE or DISABLE for a whole namespace."""
        self.document["peerAuthentications"] = [
            {"name": "default", "namespace": namespace, "mode": mode}
        ]

    def write(self):
        """Puts the file in place whole, by rename."""
        self.write_text(json.dumps(self.document, indent=2) + "\n")

    def write_text(self, text):
        new_path = f"{self.path}.new"
        with open(new_path, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(new_path, self.path)


def principal(account):
    """A string match of exactly this account's identity, in the JSON spelling."""
    return {"Exact": spiffe_id(account).removeprefix("spiffe://")}


def of_demo(path, pair, engine=None):
    """The four pods, the service cart in front of one of them, and no policy."""
    mesh = Mesh(path, engine)
    for pod in (pair.front, pair.neighbour, pair.intruder, pair.cart):
        mesh.add_pod(pod)
    mesh.add_service("cart", [VIP_V4, VIP_V6], {"80": CART_PORT})
    mesh.add_endpoint("cart", "cart", {"80": CART_PORT})
    return mesh
