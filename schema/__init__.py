"""The contract: GraphQL types and resolvers; no SQL, no rules."""
