"""``deploy.yaml``: what workspaces are to be made of, read and compared with what there is."""
