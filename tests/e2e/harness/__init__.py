"""What the end-to-end tests stand on: namespaces, programs, the mesh file, peers and captures."""
