using System.Net;
using Collective.Coordination;
using Collective.EndToEnd.Support;
using Collective.Hosting;
using Collective.Protocol;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using NUnit.Framework;

namespace Collective.EndToEnd.InProcess;

/// <summary>The loops that owe heartbeats call nothing of the user's, and need nothing of the host's.</summary>
internal sealed class LogTests : EndToEndTest
{
    [Test]
    public async Task ALoggerThatWaitsHoldsUpNobody()
    {
        using var log = new WaitingLog();
        var master = Own(CollectiveMaster.Start(new MasterOptions { Listen = "127.0.0.1:0", LoggerFactory = log }));
        var peers = Enumerable.Range(0, 2).Select(_ => NewCommunicator(new CommunicatorOptions(master.EndPoint.ToString())
        {
            ListenPort = 0,
            MinimumWorldSize = 2,
            LoggerFactory = log,
        })).ToArray();
        await All(peers, p => p.ConnectAsync());
        await log.Waits.WaitAsync(Deadline);
        await All(peers, p => p.AllReduceAsync<int>(new[] { 1 }));
        Assert.That(log.Lines, Is.Empty, "it waits in its first line");
        log.GoOn();
        await peers[0].DisposeAsync();
        Assert.That(log.Lines, Has.Some.Contains("registered and waits").And.Some.Contains("left"), "a communicator that is closed has logged its last line");
    }

    [Test]
    public async Task LinesKeepTheirOrderAndThoseThatAreLostAreCounted()
    {
        using var log = new WaitingLog();
        var logger = BackgroundLog.CreateLogger(log, "test");
        logger.LogWarning("first");
        await log.Waits.WaitAsync(Deadline);
        for (var i = 0; i < Limits.LogLinesMax + 7; i++)
        {
            logger.LogWarning("line {Number}", i);
        }

        log.GoOn();
        BackgroundLog.Flush(log);
        logger.LogWarning("last");
        BackgroundLog.Flush(log);
        string[] expected = ["first", .. Enumerable.Range(0, Limits.LogLinesMax).Select(i => $"line {i}"), "7 lines of the log were lost, because it did not take them", "last"];
        Assert.That(log.Lines, Is.EqualTo(expected));
    }

    [Test]
    public async Task ALoggerThatFailsEndsNobody()
    {
        using var log = new WaitingLog { Fails = true };
        var master = Own(CollectiveMaster.Start(new MasterOptions { Listen = "127.0.0.1:0", LoggerFactory = log }));
        log.GoOn();
        await ConnectAlone(master);
        Assert.That(master.Completion.IsCompleted, Is.False);
    }

    /// <summary>For systems without epoll.</summary>
    [Test]
    public async Task AMasterThatSelectsDoesTheSame()
    {
        var configuration = new MasterConfiguration(new RunId(Guid.NewGuid()), Term: 1, (int)PatientHeartbeat.TotalMilliseconds, SegmentBytes: 4096);
        var host = new MasterHost(new IPEndPoint(IPAddress.Loopback, 0), configuration, NullLogger.Instance, new SelectPoller());
        var peers = Enumerable.Range(0, 3).Select(_ => NewCommunicator(new CommunicatorOptions(host.EndPoint.ToString()) { ListenPort = 0, MinimumWorldSize = 3 })).ToArray();
        await All(peers, p => p.ConnectAsync());
        var sums = await All(peers, async p =>
        {
            var numbers = new int[10_000];
            Array.Fill(numbers, 2);
            await p.AllReduceAsync<int>(numbers);
            return numbers.Sum();
        });
        Assert.That(sums, Is.All.EqualTo(60_000));
        await peers[0].DisposeAsync();
        await All(peers[1..], p => p.UpdateTopologyAsync());
        host.Dispose();
        await host.Completion.WaitAsync(Deadline);
    }

    /// <summary>Takes no line before it is told to go on.</summary>
    private sealed class WaitingLog : ILoggerFactory, ILogger
    {
        private readonly ManualResetEventSlim _mayGoOn = new();
        private readonly TaskCompletionSource _waits = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly List<string> _lines = [];

        public bool Fails { get; init; }

        /// <summary>Completes when a line is being written.</summary>
        public Task Waits => _waits.Task;

        public IReadOnlyList<string> Lines
        {
            get
            {
                lock (_lines)
                {
                    return [.. _lines];
                }
            }
        }

        public void GoOn() => _mayGoOn.Set();

        public ILogger CreateLogger(string categoryName) => this;

        public void AddProvider(ILoggerProvider provider)
        {
            // It is its own.
        }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull
            => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            _waits.TrySetResult();
            _mayGoOn.Wait(Deadline);
            if (Fails)
            {
                throw new InvalidOperationException("this logger is broken");
            }

            lock (_lines)
            {
                _lines.Add(formatter(state, exception));
            }
        }

        public void Dispose() => _mayGoOn.Set(); // Whoever waits still uses it.
    }
}
