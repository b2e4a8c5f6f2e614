"""Every program, image and chart a site needs: one catalogue, several sources, one store.

The catalogue (catalogue.yml) lists them. A source (`modules`, `upstream`, `mirror`) builds or downloads them.
The playbooks read the store (<cache>/store/<source>/). Nothing here connects to a host.
"""
