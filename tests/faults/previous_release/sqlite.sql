BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0006');
CREATE TABLE api_keys (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name TEXT NOT NULL, 
	digest BLOB NOT NULL, 
	ending TEXT NOT NULL, 
	scopes JSON NOT NULL, 
	rate DOUBLE NOT NULL, 
	burst INTEGER NOT NULL, 
	images_per_day BIGINT, 
	open_jobs INTEGER, 
	created_at DATETIME NOT NULL, 
	last_used_at DATETIME, 
	expires_at DATETIME, 
	revoked_at DATETIME, 
	due_at DOUBLE DEFAULT '0' NOT NULL, 
	UNIQUE (digest)
);
CREATE TABLE denied (
	digest BLOB NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (digest)
)
 WITHOUT ROWID
;
CREATE TABLE hosts (
	host TEXT NOT NULL, 
	holder TEXT, 
	held_until DOUBLE DEFAULT '0' NOT NULL, 
	delay DOUBLE DEFAULT '0' NOT NULL, 
	next_at DOUBLE DEFAULT '0' NOT NULL, 
	closed_until DOUBLE DEFAULT '0' NOT NULL, 
	code TEXT, 
	failures INTEGER DEFAULT '0' NOT NULL, 
	trips INTEGER DEFAULT '0' NOT NULL, 
	blocked BOOLEAN DEFAULT 0 NOT NULL, 
	requests BIGINT DEFAULT '0' NOT NULL, 
	generation INTEGER DEFAULT '0' NOT NULL, 
	has_waiting BOOLEAN DEFAULT 0 NOT NULL, 
	PRIMARY KEY (host)
)
 WITHOUT ROWID
;
INSERT INTO "hosts" VALUES('good-01.example.com',NULL,0.0,0.0,0.0,0.0,NULL,0,0,0,0,0,1);
CREATE TABLE items (
	job_id INTEGER NOT NULL, 
	"index" BIGINT NOT NULL, 
	ref TEXT NOT NULL, 
	custom_id TEXT, 
	ref_hash BIGINT DEFAULT '0' NOT NULL, 
	original BIGINT, 
	PRIMARY KEY (job_id, "index")
)
 WITHOUT ROWID
;
INSERT INTO "items" VALUES(1,0,'astronaut.png',NULL,3206113137809423991,NULL);
INSERT INTO "items" VALUES(1,1,'camera.png',NULL,-4941097110591414799,NULL);
INSERT INTO "items" VALUES(1,2,'chelsea.png',NULL,-4029576040382772631,NULL);
INSERT INTO "items" VALUES(1,3,'http://good-01.example.com:PORT/ok/1',NULL,3385946058978228713,NULL);
INSERT INTO "items" VALUES(1,4,'http://good-02.example.com:PORT/ok/2',NULL,-8534666495970005825,NULL);
INSERT INTO "items" VALUES(1,5,'astronaut.png',NULL,3206113137809423991,0);
CREATE TABLE job_hosts (
	job_id INTEGER NOT NULL, 
	host TEXT NOT NULL, 
	items BIGINT NOT NULL, 
	PRIMARY KEY (job_id, host)
)
 WITHOUT ROWID
;
INSERT INTO "job_hosts" VALUES(1,'good-01.example.com',1);
INSERT INTO "job_hosts" VALUES(1,'good-02.example.com',1);
CREATE TABLE jobs (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	"key" TEXT, 
	name TEXT, 
	state TEXT NOT NULL, 
	reason TEXT DEFAULT '' NOT NULL, 
	sealed BOOLEAN DEFAULT 0 NOT NULL, 
	model_id INTEGER NOT NULL, 
	submitted BIGINT NOT NULL, 
	digest TEXT DEFAULT '' NOT NULL, 
	published BIGINT DEFAULT '0' NOT NULL, 
	max_failure_rate REAL, 
	key_id INTEGER, 
	asked TEXT DEFAULT '' NOT NULL, 
	priority SMALLINT DEFAULT '0' NOT NULL, 
	malformed BIGINT DEFAULT '0' NOT NULL, 
	rate REAL, 
	created_at DATETIME NOT NULL, 
	finished_at DATETIME, 
	holder TEXT, 
	held_until DOUBLE, 
	UNIQUE ("key"), 
	FOREIGN KEY(model_id) REFERENCES models (id)
);
INSERT INTO "jobs" VALUES(1,'KEY',NULL,'submitting','',0,1,6,'DIGEST',0,NULL,NULL,'',0,0,NULL,'2026-11-30 15:49:57.094177',NULL,NULL,NULL);
CREATE TABLE key_usage (
	key_id INTEGER NOT NULL, 
	day INTEGER NOT NULL, 
	images BIGINT NOT NULL, 
	PRIMARY KEY (key_id, day)
)
 WITHOUT ROWID
;
CREATE TABLE malformed (
	job_id INTEGER NOT NULL, 
	place INTEGER NOT NULL, 
	line BIGINT, 
	lines BIGINT NOT NULL, 
	reason TEXT NOT NULL, 
	PRIMARY KEY (job_id, place)
)
 WITHOUT ROWID
;
CREATE TABLE models (
	id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	version TEXT NOT NULL, 
	labels JSON NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "models" VALUES(1,'lite0','VERSION','LABELS');
CREATE TABLE progress (
	id INTEGER NOT NULL, 
	job_id INTEGER NOT NULL, 
	state TEXT NOT NULL, 
	code TEXT, 
	count BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "progress" VALUES(1,1,'succeeded',NULL,2);
INSERT INTO "progress" VALUES(2,1,'succeeded',NULL,1);
CREATE TABLE results (
	job_id INTEGER NOT NULL, 
	"index" BIGINT NOT NULL, 
	state TEXT NOT NULL, 
	code TEXT, 
	detail TEXT NOT NULL, 
	model_id INTEGER NOT NULL, 
	class_ids JSON NOT NULL, 
	scores JSON NOT NULL, 
	top_class SMALLINT, 
	top_score REAL, 
	width INTEGER, 
	height INTEGER, 
	format TEXT, 
	bytes BIGINT, 
	sha256 BLOB, 
	host TEXT, 
	final_url TEXT, 
	http_status SMALLINT, 
	attempts SMALLINT NOT NULL, 
	fetch_ms REAL, 
	label_ms REAL, 
	finished_at DATETIME NOT NULL, 
	reused BOOLEAN DEFAULT 0 NOT NULL, 
	PRIMARY KEY (job_id, "index")
)
 WITHOUT ROWID
;
INSERT INTO "results" VALUES(1,0,'succeeded',NULL,'',1,'[1, 2, 3, 4, 5]','[0.5, 0.25, 0.125, 0.0625, 0.03125]',1,0.5,512,512,'PNG',1234,X'E06372B04317F01276C668C5DFF526C7ABEA56E8C304284D2EC12D92FED63237',NULL,'astronaut.png',200,1,12.5,30.25,'2026-11-30 15:49:57.165648',0);
INSERT INTO "results" VALUES(1,1,'succeeded',NULL,'',1,'[1, 2, 3, 4, 5]','[0.5, 0.25, 0.125, 0.0625, 0.03125]',1,0.5,512,512,'PNG',1235,X'266E449AB76E42DC335A39E878BD2A1C07DFBF1605B04C34587608CB2A7AF295',NULL,'camera.png',200,1,12.5,30.25,'2026-11-30 15:49:57.168122',0);
INSERT INTO "results" VALUES(1,5,'succeeded',NULL,'',1,'[1, 2, 3, 4, 5]','[0.5, 0.25, 0.125, 0.0625, 0.03125]',1,0.5,512,512,'PNG',1234,X'E06372B04317F01276C668C5DFF526C7ABEA56E8C304284D2EC12D92FED63237',NULL,'astronaut.png',200,1,12.5,30.25,'2026-11-30 15:49:57.165648',1);
CREATE TABLE robots (
	origin TEXT NOT NULL, 
	body TEXT NOT NULL, 
	fetched_at DOUBLE NOT NULL, 
	PRIMARY KEY (origin)
)
 WITHOUT ROWID
;
CREATE TABLE suspects (
	job_id INTEGER NOT NULL, 
	"index" BIGINT NOT NULL, 
	trials SMALLINT NOT NULL, 
	PRIMARY KEY (job_id, "index")
)
 WITHOUT ROWID
;
CREATE TABLE thumbnails (
	sha256 BLOB NOT NULL, 
	content BLOB NOT NULL, 
	PRIMARY KEY (sha256)
);
INSERT INTO "thumbnails" VALUES(X'266E449AB76E42DC335A39E878BD2A1C07DFBF1605B04C34587608CB2A7AF295',X'FFD87468756D626E61696C');
INSERT INTO "thumbnails" VALUES(X'E06372B04317F01276C668C5DFF526C7ABEA56E8C304284D2EC12D92FED63237',X'FFD87468756D626E61696C');
CREATE TABLE upload_parts (
	job_id INTEGER NOT NULL, 
	part INTEGER NOT NULL, 
	content BLOB NOT NULL, 
	PRIMARY KEY (job_id, part)
);
CREATE TABLE uploads (
	job_id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	ref_column TEXT NOT NULL, 
	id_column TEXT, 
	charged BOOLEAN DEFAULT 0 NOT NULL, 
	holder TEXT, 
	held_until DOUBLE DEFAULT '0' NOT NULL, 
	PRIMARY KEY (job_id)
)
 WITHOUT ROWID
;
CREATE TABLE validators (
	ref_digest BLOB NOT NULL, 
	final_url TEXT NOT NULL, 
	etag TEXT, 
	last_modified TEXT, 
	sha256 BLOB NOT NULL, 
	PRIMARY KEY (ref_digest)
)
 WITHOUT ROWID
;
CREATE TABLE waiting (
	id INTEGER NOT NULL, 
	host TEXT NOT NULL, 
	job_id INTEGER NOT NULL, 
	"index" BIGINT NOT NULL, 
	ref TEXT NOT NULL, 
	attempt SMALLINT NOT NULL, 
	url TEXT NOT NULL, 
	hops SMALLINT NOT NULL, 
	holder TEXT, 
	earlier SMALLINT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "waiting" VALUES(1,'good-01.example.com',1,3,'http://good-01.example.com:PORT/ok/1',2,'http://good-01.example.com:PORT/ok/1',0,NULL,0);
CREATE TABLE webhooks (
	job_id INTEGER NOT NULL, 
	url TEXT NOT NULL, 
	secret TEXT NOT NULL, 
	state TEXT NOT NULL, 
	attempts SMALLINT DEFAULT '0' NOT NULL, 
	next_at DOUBLE DEFAULT '0' NOT NULL, 
	last_error TEXT DEFAULT '' NOT NULL, 
	PRIMARY KEY (job_id)
)
 WITHOUT ROWID
;
CREATE UNIQUE INDEX models_by_name ON models (name, version);
CREATE INDEX items_by_original ON items (job_id, original, "index") WHERE original IS NOT NULL;
CREATE INDEX items_by_ref ON items (ref_hash, job_id);
CREATE INDEX results_by_content ON results (sha256, model_id, reused) WHERE sha256 IS NOT NULL;
CREATE INDEX results_by_host ON results (job_id, host, "index") WHERE host IS NOT NULL;
CREATE INDEX results_by_class ON results (job_id, top_class, "index") WHERE top_class IS NOT NULL;
CREATE INDEX results_by_code ON results (job_id, code, "index") WHERE code IS NOT NULL;
CREATE INDEX progress_by_job ON progress (job_id);
CREATE INDEX hosts_with_waiting ON hosts (next_at) WHERE has_waiting;
CREATE UNIQUE INDEX waiting_by_item ON waiting (job_id, "index");
CREATE INDEX waiting_by_host ON waiting (host, id);
CREATE INDEX webhooks_by_time ON webhooks (state, next_at);
CREATE INDEX jobs_by_state ON jobs (state);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('jobs',1);
COMMIT;
