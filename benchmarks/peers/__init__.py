"""The peers: what others would write for the same job, each as good as its kind allows.

All answer the same requests with the same bodies, in one transaction each, in the tenant's role
and schema, with ten connections. They trust their input more than the service may, and know the
tenants' keys from the start.
"""
