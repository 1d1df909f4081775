-- Every change of a plan is kept as a version of its own.

-- +goose Up
-- +goose StatementBegin

-- doc is the plan as it stood from at on, account and name who changed it: '' of the
-- configuration file and the command line.
create table plan_versions (
    plan    text   not null,
    version bigint not null,
    at      bigint not null,
    account text   not null,
    name    text   not null,
    note    text   not null,
    doc     text   not null,
    primary key (plan, version)
);

-- Plans from before there were versions begin with the one that they are. at 0 stands for
-- the moment at which the plan was made, which is in doc.
insert into plan_versions (plan, version, at, account, name, note, doc) select id, 1, 0, '', '', '', doc from plans;
-- +goose StatementEnd
