#!/usr/bin/env python
"""Tenantry's command line."""

from project.command_line import main

if __name__ == "__main__":
    main()
