//! Sessions of users, nodes and services: renewal, limits, listing and immediate revocation.
