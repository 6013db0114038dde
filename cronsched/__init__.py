"""Cronsched: a self-hosted, admin-centric cron scheduler for webhooks and GitHub Actions workflows."""
