using NUnit.Framework;
using NUnit.Framework.Interfaces;

namespace Collective.EndToEnd.Support;

/// <summary>
/// A master and peers over real TCP on loopback. Whatever a test starts is ended after it; when it fails, its log is printed.
/// Nothing here waits for time to pass: every wait is for an event, with a generous deadline.
/// </summary>
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
internal abstract class EndToEndTest
{
    /// <summary>Deadline of whatever must happen; far above what it takes on a busy machine.</summary>
    protected static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    /// <summary>So long that no peer of a busy machine is given up by mistake.</summary>
    protected static readonly TimeSpan PatientHeartbeat = TimeSpan.FromSeconds(30);

    // Guards the list: tests may start peers from several threads.
    private readonly Lock _gate = new();
    private readonly List<IAsyncDisposable> _started = [];
    private Timer? _limit;

    protected TestLog Log { get; } = new();

    /// <summary>A test that waits in a loop for what never comes fails, too: what it started is ended, and it is told so by the next call.</summary>
    [SetUp]
    public void LimitTime() => _limit = new Timer(_ => Task.WhenAll(Started().Select(s => s.DisposeAsync().AsTask())), null, 3 * Deadline, Timeout.InfiniteTimeSpan);

    [TearDown]
    public async Task EndWhatWasStarted()
    {
        await _limit!.DisposeAsync();
        var started = Started();

        // The log first, so that it does not drown in the goodbyes.
        if (TestContext.CurrentContext.Result.Outcome.Status == TestStatus.Failed)
        {
            TestContext.Out.WriteLine(string.Join(Environment.NewLine, Log.Lines));
        }

        foreach (var item in started)
        {
            await item.DisposeAsync().AsTask().WaitAsync(Deadline);
        }
    }

    protected CollectiveMaster StartMaster(int segmentBytes = 512 * 1024, TimeSpan? heartbeat = null, string listen = "127.0.0.1:0")
        => Own(CollectiveMaster.Start(new MasterOptions
        {
            Listen = listen,
            SegmentBytes = segmentBytes,
            HeartbeatTimeout = heartbeat ?? PatientHeartbeat,
            LoggerFactory = Log,
        }));

    protected Communicator NewCommunicator(CollectiveMaster master, int minimumWorldSize = 1, uint group = 0, int stripes = 2, Action<string>? probe = null)
        => NewCommunicator(new CommunicatorOptions(master.EndPoint.ToString())
        {
            Group = group,
            StripeCount = stripes,
            MinimumWorldSize = minimumWorldSize,
            ListenPort = 0,
            ConnectTimeout = TimeSpan.FromSeconds(30),
            LoggerFactory = Log,
            Probe = probe,
        });

    protected Communicator NewCommunicator(CommunicatorOptions options) => Own(new Communicator(options));

    /// <summary>A communicator that has connected and been admitted alone.</summary>
    protected async Task<Communicator> ConnectAlone(CollectiveMaster master)
    {
        var communicator = NewCommunicator(master);
        await communicator.ConnectAsync().WaitAsync(Deadline);
        return communicator;
    }

    /// <summary>A whole group; the stripe counts of its members, one each or one for all.</summary>
    protected async Task<Communicator[]> ConnectGroup(CollectiveMaster master, int worldSize, params int[] stripes)
    {
        var peers = new Communicator[worldSize];
        for (var i = 0; i < worldSize; i++)
        {
            peers[i] = NewCommunicator(master, worldSize, stripes: stripes.Length == 0 ? 2 : stripes[i % stripes.Length]);
        }

        await All(peers, peer => peer.ConnectAsync());
        Assert.That(peers.Select(p => p.World.WorldSize), Is.All.EqualTo(worldSize));
        return peers;
    }

    /// <summary>Peers in the order of their ranks.</summary>
    protected static Communicator[] ByRank(IEnumerable<Communicator> peers) => [.. peers.OrderBy(p => p.World.Rank)];

    /// <summary>The members update their topology until there are so many peers, and the newcomers have connected. One of these that fails ends it.</summary>
    protected static async Task Admit(IReadOnlyList<Communicator> members, int globalWorldSize, params Task[] connecting)
    {
        while (members.Count > 0 && members[0].World.GlobalWorldSize < globalWorldSize && !connecting.Any(c => c.IsFaulted))
        {
            await All(members, p => p.UpdateTopologyAsync());
        }

        await Task.WhenAll(connecting.Any(c => c.IsFaulted) ? connecting.Where(c => c.IsFaulted) : connecting).WaitAsync(Deadline);
    }

    /// <summary>Waits until all members see that somebody is pending, or the newcomer's call has ended.</summary>
    protected static async Task ArePending(IReadOnlyList<Communicator> members, Task connecting)
    {
        while (!connecting.IsCompleted && !Array.TrueForAll(await All(members, p => p.ArePeersPendingAsync()), pending => pending))
        {
            // Until it has registered.
        }
    }

    protected static Task All<T>(IEnumerable<T> items, Func<T, Task> action) => Task.WhenAll(items.Select(action)).WaitAsync(Deadline);

    protected static Task<TResult[]> All<T, TResult>(IEnumerable<T> items, Func<T, Task<TResult>> action) => Task.WhenAll(items.Select(action)).WaitAsync(Deadline);

    /// <summary>The failure of a call; fails the test when the call succeeds, fails otherwise or does not end.</summary>
    protected static async Task<CollectiveException> FailureOf(Func<Task> call)
    {
        try
        {
            await call().WaitAsync(Deadline);
        }
        catch (CollectiveException e)
        {
            return e;
        }

        throw new AssertionException("the call succeeded, but had to fail");
    }

    protected static Task<CollectiveException> FailureOf(Action call) => FailureOf(() =>
    {
        call();
        return Task.CompletedTask;
    });

    /// <summary>Checks the code, and that the message says something.</summary>
    protected static void AssertFailure(CollectiveException failure, ErrorCode code, params string[] says)
    {
        Assert.That(failure.Code, Is.EqualTo(code), failure.Message);
        foreach (var part in says)
        {
            Assert.That(failure.Message, Does.Contain(part).IgnoreCase);
        }
    }

    /// <summary>Runs a blocking body on a thread of its own.</summary>
    protected static Task OnThread(Action body)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        new Thread(() =>
        {
            try
            {
                body();
                done.SetResult();
            }
            catch (Exception e)
            {
                done.SetException(e);
            }
        })
        { IsBackground = true }.Start();
        return done.Task;
    }

    private IAsyncDisposable[] Started()
    {
        lock (_gate)
        {
            return [.. _started.AsEnumerable().Reverse()];
        }
    }

    protected T Own<T>(T item)
        where T : IAsyncDisposable
    {
        lock (_gate)
        {
            _started.Add(item);
        }

        return item;
    }
}
