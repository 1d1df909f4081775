-- Keys that admit alone, records of direct calls, totals of calls, and what is switched off.

-- +goose Up
-- +goose StatementBegin

-- bearer is a keyed digest of the app's bearer key; the key itself is in doc.
alter table apps add column bearer text;
create unique index apps_bearer on apps (bearer);

-- 1 for charges of an app in test mode, which charge_totals does not count.
alter table charges add column sandbox bigint not null default 0;

-- Records of direct calls. Like charges they hold no personal data. doc is the record as
-- JSON; the columns beside it are what it is looked up by.
create table directs (
    id   text   not null primary key,
    ref  text   not null,
    app  text   not null,
    kind text   not null,
    at   bigint not null,
    doc  text   not null
);
create index directs_at on directs (at, id);
create index directs_app on directs (app, at, id);
create index directs_ref on directs (ref);

-- Calls of a total that were reserved. An address is named by a keyed digest.
create table counters (
    name text   not null primary key,
    used bigint not null
);

-- What the operator set for a kind of charge.
create table switches (
    kind  text not null primary key,
    state text not null
);
-- +goose StatementEnd
