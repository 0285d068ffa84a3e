CREATE TABLE `model` (
	`id` integer PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`fitted_passages` integer NOT NULL,
	`changed_passages` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `packages` (
	`name` text PRIMARY KEY NOT NULL,
	`version` text NOT NULL,
	`fingerprint` text NOT NULL
);
--> statement-breakpoint
CREATE TABLE `passages` (
	`id` integer PRIMARY KEY NOT NULL,
	`package` text NOT NULL,
	`version` text NOT NULL,
	`file` text NOT NULL,
	`heading` text NOT NULL,
	`text` text NOT NULL,
	`embedding` blob NOT NULL,
	FOREIGN KEY (`package`) REFERENCES `packages`(`name`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `passages_package` ON `passages` (`package`);--> statement-breakpoint
CREATE TABLE `words` (
	`word` text PRIMARY KEY NOT NULL,
	`vector` blob NOT NULL
);
