using System.Diagnostics;
using Collective.Stress.Churn;
using Collective.Stress.Processes;
using NUnit.Framework;

namespace Collective.EndToEnd;

/// <summary>Every check of the churn program is shown a run that keeps the promise, and one that breaks it.</summary>
internal sealed class ChurnJudgeTests
{
    private const string A = "aaaaaaaa";
    private const string B = "bbbbbbbb";
    private const string C = "cccccccc";

    private static ChurnEvent.Committed Commit(ulong step, int operation, ulong epoch, string digest, params string[] contributors)
        => new(0, step, operation, epoch, contributors, digest, 0);

    private static long Second(double seconds) => (long)(seconds * Stopwatch.Frequency);

    [Test]
    public void Peers_that_agree_do_not_diverge()
    {
        var judge = new OutcomeJudge();
        judge.OnAborted(A, new ChurnEvent.Aborted(0, 1, 1, 5, ""));
        judge.OnCommitted(A, Commit(1, 1, 5, "d1", A, B));
        judge.OnAborted(B, new ChurnEvent.Aborted(0, 1, 1, 5, ""));
        judge.OnCommitted(B, Commit(1, 1, 5, "d1", A, B));
        judge.OnCommitted(B, Commit(1, 2, 5, "d2", A, B));
        judge.OnCommitted(A, Commit(1, 2, 5, "d2", A, B));
        Assert.That(judge.Divergences, Is.Empty);
        Assert.That(judge.Commits, Is.EqualTo(2));
    }

    [Test]
    public void Another_digest_diverges()
    {
        var judge = new OutcomeJudge();
        judge.OnCommitted(A, Commit(1, 1, 5, "d1", A, B));
        judge.OnCommitted(B, Commit(1, 1, 5, "d2", A, B));
        Assert.That(judge.Divergences, Has.Count.EqualTo(1).And.Some.Contains("d2"));
    }

    [Test]
    public void Other_contributors_diverge()
    {
        var judge = new OutcomeJudge();
        judge.OnCommitted(A, Commit(1, 1, 5, "d1", A, B));
        judge.OnCommitted(B, Commit(1, 1, 5, "d1", A, B, C));
        Assert.That(judge.Divergences, Is.Not.Empty);
    }

    /// <summary>One saw the attempt of epoch 5 committed; the other saw it aborted and did it again in epoch 6.</summary>
    [TestCase(true)]
    [TestCase(false)]
    public void A_verdict_that_is_not_the_same_for_all_diverges(bool abortIsReadFirst)
    {
        var judge = new OutcomeJudge();
        if (abortIsReadFirst)
        {
            judge.OnAborted(B, new ChurnEvent.Aborted(0, 1, 1, 6, ""));
            judge.OnCommitted(A, Commit(1, 1, 5, "d1", A, B));
        }
        else
        {
            judge.OnCommitted(A, Commit(1, 1, 5, "d1", A, B));
            judge.OnAborted(B, new ChurnEvent.Aborted(0, 1, 1, 6, ""));
        }

        Assert.That(judge.Divergences, Has.Count.EqualTo(1).And.Some.Contains("aborted"));
    }

    [Test]
    public void A_commit_in_another_epoch_diverges()
    {
        var judge = new OutcomeJudge();
        judge.OnCommitted(B, Commit(1, 1, 6, "d1", B, C));
        judge.OnCommitted(A, Commit(1, 1, 5, "d1", A, B));
        Assert.That(judge.Divergences, Is.Not.Empty);
    }

    [Test]
    public void A_peer_that_goes_on_without_a_commit_of_the_others_diverges()
    {
        var judge = new OutcomeJudge();
        judge.OnCommitted(A, Commit(1, 1, 5, "d1", A, B));
        judge.OnCommitted(B, Commit(1, 2, 5, "d2", A, B));
        Assert.That(judge.Divergences, Has.Count.EqualTo(1).And.Some.Contains("gone on"));
    }

    /// <summary>It is alone now and has dropped the step, of which a batch had committed that it cannot report.</summary>
    [Test]
    public void A_peer_that_lost_all_others_may_go_on()
    {
        var judge = new OutcomeJudge();
        judge.OnAlone(B, step: 2);
        judge.OnCommitted(A, Commit(1, 5, 5, "d1", A, B));
        judge.OnCommitted(B, Commit(3, 0, 6, "d2", B, C));
        Assert.That(judge.Divergences, Is.Empty);
    }

    [Test]
    public void A_stall_is_measured_only_while_two_healthy_peers_are_there()
    {
        var judge = new StallJudge(0);
        judge.OnTime(Second(20), 1);
        judge.OnTime(Second(20), 2);
        judge.OnTime(Second(24), 2);
        judge.OnCommitted(Second(24.5));
        Assert.That(judge.Longest.TotalSeconds, Is.EqualTo(4.5).Within(0.01));
        judge.OnTime(Second(30), 2);
        judge.OnTime(Second(36), 2);
        Assert.That(judge.Longest.TotalSeconds, Is.EqualTo(11.5).Within(0.01));
        Assert.That(judge.LongestSince, Is.EqualTo(Second(24.5)));
        judge.OnTime(Second(37), 1);
        judge.OnTime(Second(90), 1);
        judge.OnTime(Second(91), 2);
        Assert.That(judge.Longest.TotalSeconds, Is.EqualTo(12.5).Within(0.01));
    }

    [TestCase(ChurnKind.Freeze, 7, true)]
    [TestCase(ChurnKind.Freeze, 3, false)]
    [TestCase(ChurnKind.Blackhole, 7, true)]
    [TestCase(ChurnKind.Blackhole, 1, false)]
    [TestCase(ChurnKind.Reset, 7, false)]
    public void Only_who_was_silenced_for_long_may_be_evicted(ChurnKind kind, double seconds, bool guilty)
    {
        var strikes = new StrikeBook();
        strikes.Add(new Strike(kind, 1, A, Second(100)) { Until = Second(100 + seconds) });
        strikes.Add(new Strike(ChurnKind.Freeze, 2, B, Second(100)) { Until = Second(108) });
        var judge = new BlameJudge(strikes);
        judge.OnEvicted(Second(108), $"peer {A} (10.0.0.1:1) of group 0 evicted: no heartbeat for 5.1 s", _ => true);
        Assert.That(judge.InnocentEvictions, Has.Count.EqualTo(guilty ? 0 : 1));
        judge.OnEvicted(Second(108), $"peer {C} (10.0.0.3:1) of group 0 evicted: no heartbeat for 5.1 s", _ => true);
        Assert.That(judge.InnocentEvictions, Has.Count.EqualTo(guilty ? 1 : 2));
    }

    [TestCase($"Peer {A} was lost: its connection closed; the other 2 peers go on in a new ring.", true)]
    [TestCase($"The link from peer {B} to peer {A} failed: peer {B} reports \"broken\", its other end reports nothing.", true)]
    [TestCase($"Peer {B} was lost: its connection closed; the other 2 peers go on in a new ring.", false)]
    [TestCase($"The link from peer {B} to peer {C} failed: peer {B} reports \"broken\".", false)]
    [TestCase($"Peer {B} was evicted: data cannot flow between it and peer {A}.", false)]
    [TestCase("Something went wrong.", false)]
    public void A_killed_peer_is_blamed_and_its_neighbour_is_not(string sentence, bool right)
    {
        var strikes = new StrikeBook();
        strikes.Add(new Strike(ChurnKind.Kill, 1, A, Second(100)));
        var judge = new BlameJudge(strikes);
        judge.OnAborted(Second(101), sentence, _ => true);
        Assert.That(judge.RightBlames, Is.EqualTo(right ? 1 : 0));
        Assert.That(judge.WrongBlames, Has.Count.EqualTo(right ? 0 : 1));
    }

    /// <summary>The starved one says so; a healthy one that says so, or is evicted for a starved one, is a broken promise.</summary>
    [TestCase(A, 1.0, 0)]
    [TestCase(A, 12.0, 1)]
    [TestCase(B, 1.0, 1)]
    public void Only_who_has_no_descriptors_may_say_so(string peer, double after, int innocents)
    {
        var strikes = new StrikeBook();
        strikes.Add(new Strike(ChurnKind.Starve, 1, A, Second(100)) { Until = Second(101) });
        var judge = new BlameJudge(strikes);
        judge.OnFaulted(Second(100 + after), $"peer {peer} (10.0.0.1:1) of group 0 had to leave: its process has no file descriptors left");
        Assert.That(judge.InnocentEvictions, Has.Count.EqualTo(innocents));
        judge.OnEvicted(Second(101), $"peer {A} (10.0.0.1:1) of group 0 evicted: for 7.0 s data cannot flow between it and peer {B}", _ => true);
        Assert.That(judge.InnocentEvictions, Has.Count.EqualTo(innocents + 1), "it has to say so itself");
        judge.OnAborted(Second(101), $"Peer {A} had to leave: its process has no file descriptors left; the other 2 peers go on in a new ring.", _ => true);
        Assert.That(judge.WrongBlames, Is.Empty);
    }

    [TestCase(true, 0)]
    [TestCase(false, 1)]
    public void A_peer_that_lacks_nothing_may_not_say_that_it_does(bool starved, int failures)
    {
        var progress = new ChurnProgress(new ChurnPlan());
        var subject = Joined(progress, A);
        if (starved)
        {
            progress.Strikes.Add(new Strike(ChurnKind.Starve, 0, A, Stopwatch.GetTimestamp()));
        }

        progress.Apply(subject, new ChurnEvent.Lost(Stopwatch.GetTimestamp(), "LimitExceeded", "no file descriptors left"));
        Assert.That(progress.Failures, Has.Count.EqualTo(failures));
        Assert.That(progress.Shortages, Is.EqualTo(1));
    }

    /// <summary>A misfit that is told so is no news; one that is taken in where somebody had synced before is.</summary>
    [TestCase(1ul, 3, 1)]
    [TestCase(1ul, 1, 0)]
    [TestCase(2ul, 3, 0)]
    [TestCase(null, 2, 0)]
    public void A_misfit_that_is_taken_in_is_misjudged(ulong? incumbentSince, int worldSize, int misjudged)
    {
        var progress = new ChurnProgress(new ChurnPlan());
        var (healthy, misfit, other) = (Joined(progress, A), Joined(progress, B, MisfitKind.Sizes), Joined(progress, C, MisfitKind.Revision));
        if (incumbentSince is { } step)
        {
            progress.Apply(healthy, new ChurnEvent.Synced(0, step, 1, 0, 0));
        }

        progress.Apply(other, new ChurnEvent.Dismissed(0, "RevisionMismatch", "its revision"));
        Assert.That(progress.Misjudged, Is.Empty);
        Assert.That(progress.Dismissals, Is.EqualTo(1));
        progress.Apply(misfit, new ChurnEvent.Accepted(0, 2, worldSize));
        Assert.That(progress.Misjudged, Has.Count.EqualTo(misjudged));
    }

    [TestCase(B, "has other keys", false, 1)]
    [TestCase(C, "has other keys", false, 0)]
    [TestCase(B, "has other keys: neither could be elected", false, 0)]
    [TestCase(B, "has other keys: neither could be elected", true, 1)]
    public void A_healthy_peer_that_fails_for_a_misfit_is_misjudged(string named, string what, bool hasSynced, int misjudged)
    {
        var progress = new ChurnProgress(new ChurnPlan());
        var healthy = Joined(progress, A);
        Joined(progress, B, MisfitKind.Program);
        if (hasSynced)
        {
            progress.Apply(healthy, new ChurnEvent.Synced(0, 0, 1, 0, 0));
        }

        progress.Apply(healthy, new ChurnEvent.SyncFailed(0, 1, $"Peer {named} {what}."));
        Assert.That(progress.Misjudged, Has.Count.EqualTo(misjudged));
    }

    [TestCase(A, 0)]
    [TestCase(B, 1)]
    public void Only_a_misfit_may_be_dismissed(string peer, int innocents)
    {
        var strikes = new StrikeBook();
        strikes.Add(new Strike(ChurnKind.Join, 1, A, Second(100)));
        var judge = new BlameJudge(strikes);
        judge.OnDismissed(Second(101), $"peer {peer} (10.0.0.1:1) of group 0 dismissed: it has other keys than peer {C}", _ => true);
        Assert.That(judge.InnocentEvictions, Has.Count.EqualTo(innocents));
    }

    private static Subject Joined(ChurnProgress progress, string peer, MisfitKind? misfit = null)
    {
        var subject = new Subject(ChildProcess.Never(progress.Subjects.Count), 0, 8) { Misfit = misfit };
        progress.Subjects.Add(subject);
        progress.Apply(subject, new ChurnEvent.Connected(Stopwatch.GetTimestamp(), peer, 1, 1));
        return subject;
    }

    /// <summary>With seven newcomers at once the only holder has fourteen connections besides those of its links.</summary>
    [TestCase(2, 22)]
    [TestCase(8, 34)]
    [TestCase(16, 50)]
    public void Sockets_follow_from_the_configuration(int peers, int sockets)
    {
        Assert.That(LeakJudge.PeerSocketsMax(peers), Is.EqualTo(sockets));
        Assert.That(LeakJudge.PeerThreadsMax(peers), Is.GreaterThan(sockets + 20));
    }

    [TestCase(0, 0, 0, 0)]
    [TestCase(1, 0, 0, 1)]
    [TestCase(0, 1, 0, 1)]
    [TestCase(0, 0, 1, 1)]
    [TestCase(1, 1, 1, 3)]
    public void A_floor_that_rises_is_a_leak(int descriptors, int threads, int mebibytes, int leaks)
    {
        var judge = new LeakJudge("a peer", socketsMax: 20, threadsMax: 400);
        for (var second = 0; second < 200; second++)
        {
            // Up and down with the size of the world; every fifth second at its least.
            var more = second % 5 * 30;
            judge.Add(new ResourceSample(90 + more + (second / 5 * descriptors), 8, 25 + more + (second / 5 * threads), (100L + more + (second * mebibytes)) << 20));
        }

        Assert.That(judge.Leaks().Count(), Is.EqualTo(leaks), string.Join(Environment.NewLine, judge.Leaks()));
    }

    [Test]
    public void More_than_the_configuration_explains_is_a_leak_at_once()
    {
        var judge = new LeakJudge("a peer", socketsMax: 20, threadsMax: 64);
        judge.Add(new ResourceSample(90, 20, 64, 0));
        Assert.That(judge.Leaks(), Is.Empty);
        judge.Add(new ResourceSample(90, 21, 65, 0));
        Assert.That(judge.Leaks().Count(), Is.EqualTo(2));
    }

    [Test]
    public void Recovery_lasts_from_the_first_epoch_of_a_loss_until_one_stands()
    {
        var watch = new RecoveryWatch(new StrikeBook());
        watch.OnMaster(new MasterNews(Second(1), MasterNews.EpochOpened, $"epoch 1.2 of group 0: 3 peers, because admitted {A}"));
        watch.OnMaster(new MasterNews(Second(2), MasterNews.EpochStands, ""));
        watch.OnMaster(new MasterNews(Second(3), MasterNews.EpochOpened, $"epoch 1.3 of group 0: 2 peers, because peer {A} was lost"));
        watch.OnMaster(new MasterNews(Second(4), MasterNews.EpochOpened, $"epoch 1.4 of group 0: 1 peers, because peer {B} was lost"));
        watch.OnMaster(new MasterNews(Second(5), MasterNews.EpochStands, ""));
        Assert.That(watch.All.Select(time => time.TotalSeconds), Is.EqualTo(new[] { 2.0 }).Within(0.01));
    }

    [Test]
    public void The_schedule_follows_from_the_seed()
    {
        static List<PlannedEvent> Events(int seed)
        {
            var schedule = new ChurnSchedule(seed, rate: 2);
            return [.. Enumerable.Range(0, 1000).Select(_ => schedule.Next()!.Value)];
        }

        var again = Events(7);
        Assert.That(Events(7), Is.EqualTo(again));
        Assert.That(Events(7), Is.Not.EqualTo(Events(8)));
        Assert.That(Events(7)[^1].At.TotalSeconds, Is.EqualTo(500).Within(100), "1000 events at 2 a second");
        Assert.That(new ChurnSchedule(7, rate: 0).Next(), Is.Null);
    }

    [Test]
    public void Few_peers_get_company_and_a_full_world_gets_no_more()
    {
        var mix = Enum.GetValues<ChurnKind>();
        Assert.That(ChurnSchedule.Choose(0.5, mix, peers: 2, peersMax: 8), Is.EqualTo(ChurnKind.Join));
        var full = Enumerable.Range(0, 1000).Select(draw => ChurnSchedule.Choose(draw / 1000.0, mix, peers: 8, peersMax: 8)).ToList();
        Assert.That(full, Does.Not.Contain(ChurnKind.Join).And.Not.Contain(null));
        Assert.That(full.Distinct().Count(), Is.EqualTo(mix.Length - 1));
        Assert.That(ChurnSchedule.Choose(0.5, [ChurnKind.Join], peers: 8, peersMax: 8), Is.Null);
    }

    /// <summary>Each element counts, and so does each contributor.</summary>
    [Test]
    public void A_wrong_element_or_contributor_is_noticed([Values] bool average)
    {
        var peers = Enumerable.Range(0, 3).Select(_ => new PeerId(Guid.NewGuid())).ToList();
        var operation = average ? ReduceOperation.Average : ReduceOperation.Sum;
        var result = new double[100];
        foreach (var peer in peers)
        {
            var own = new double[100];
            Content.Fill<double>(own, peer, 5);
            for (var index = 0; index < own.Length; index++)
            {
                result[index] += own[index];
            }
        }

        result = average ? Array.ConvertAll(result, value => value / 3) : result;
        Assert.That(Content.FirstWrong<double>(result, peers, 5, operation), Is.EqualTo(-1));
        Assert.That(Content.FirstWrong<double>(result, peers.Take(2).ToList(), 5, operation), Is.GreaterThanOrEqualTo(0));
        Assert.That(Content.FirstWrong<double>(result, peers, 6, operation), Is.GreaterThanOrEqualTo(0));
        result[41] += 1;
        Assert.That(Content.FirstWrong<double>(result, peers, 5, operation), Is.EqualTo(41));
    }

    [Test]
    public void Median_and_percentiles_are_times_that_were_measured()
    {
        var figures = TimeFigures.Of(Enumerable.Range(1, 200).Select(ms => TimeSpan.FromMilliseconds(ms)));
        Assert.That(figures, Is.EqualTo(new TimeFigures(200, 100, 198, 200)));
        Assert.That(TimeFigures.Of([]), Is.EqualTo(new TimeFigures(0, 0, 0, 0)));
    }
}
