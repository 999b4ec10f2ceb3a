"""The pages of people who sign in: Django's own views for passwords, invitations, their tenants."""
