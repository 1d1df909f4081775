-- Alarms: rules, how each stands, the history; webhooks, and messages on their way.

-- +goose Up
-- +goose StatementBegin

-- doc is the rule as JSON. revision counts changes.
create table alarm_rules (
    id       text   not null primary key,
    revision bigint not null,
    doc      text   not null
);

-- How a rule stands: once, or once for each node for what is measured of a machine (node is ''
-- otherwise). version counts changes.
create table alarm_states (
    rule    text             not null,
    node    text             not null,
    version bigint           not null,
    phase   text             not null,
    since   bigint           not null,
    episode text             not null,
    told    bigint           not null,
    sent    bigint           not null,
    worst   double precision not null,
    primary key (rule, node)
);

-- The history. doc is the episode as JSON; ended is 0 while it lasts.
create table alarm_episodes (
    id    text   not null primary key,
    rule  text   not null,
    began bigint not null,
    ended bigint not null,
    doc   text   not null
);
create index alarm_episodes_began on alarm_episodes (began, id);
create index alarm_episodes_rule on alarm_episodes (rule, began, id);

-- Receivers of webhooks, sealed: their addresses and secrets.
create table webhooks (
    id       text   not null primary key,
    revision bigint not null,
    data_key text   not null,
    doc      text   not null
);

-- Messages on their way to one receiver. receiver is a mail address or a webhook's id; due is 0
-- once it is over. doc is what does not change, as JSON.
create table deliveries (
    id       text   not null primary key,
    channel  text   not null,
    receiver text   not null,
    created  bigint not null,
    state    text   not null,
    tries    bigint not null,
    due      bigint not null,
    until_at bigint not null,
    doc      text   not null
);
create index deliveries_due on deliveries (state, due, id);
create index deliveries_created on deliveries (created, id);
create index deliveries_receiver on deliveries (channel, receiver, created, id);

create table delivery_tries (
    delivery text   not null,
    n        bigint not null,
    at       bigint not null,
    took     bigint not null,
    status   bigint not null,
    error    text   not null,
    primary key (delivery, n)
);
-- +goose StatementEnd
