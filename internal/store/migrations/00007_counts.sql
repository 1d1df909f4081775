-- What is counted: see ekyc.Count. It holds no personal data and outlives the sessions.

-- +goose Up
-- +goose StatementBegin

-- One row for each span in which something happened, by app, plan and protocol; doc holds a line
-- for each measure and label: "MEASURE LABEL COUNT SUM". A row in place of a row for each label,
-- because a session's end counts a dozen of them, and 90 days are read at once. span is its length
-- and at its beginning, in milliseconds. shard tells rows apart that hold the same, so that
-- transactions at the same time need not wait for each other; sums are over all shards.
create table counts (
    span     bigint not null,
    at       bigint not null,
    app      text   not null,
    plan     text   not null,
    protocol text   not null,
    shard    bigint not null,
    doc      text   not null,
    primary key (span, at, app, plan, protocol, shard)
);
-- +goose StatementEnd
