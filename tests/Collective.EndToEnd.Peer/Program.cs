using System.Net;
using System.Runtime.InteropServices;

namespace Collective.EndToEnd.Peer;

/// <summary>
/// A peer process under test. It prints one line per outcome on standard output, its log on standard error, and ends with 0 when all that it saw was
/// as promised, 1 when a promise was broken, 2 when it ended in a failure that a well-behaved run does not have.
/// </summary>
internal static class Program
{
    private const int Broken = 1;
    private const int Failed = 2;

    public static async Task<int> Main(string[] arguments)
    {
        var settings = Settings.Parse(arguments);
        OwnLimits.MakeThreads(settings);
        var faults = new Faults(settings, IPEndPoint.Parse(settings.Master));
        var communicator = new Communicator(new CommunicatorOptions(settings.Master)
        {
            Group = settings.Group,
            MinimumWorldSize = settings.MinimumWorldSize,
            ListenPort = 0,
            StripeCount = 2,
            LinkStallTimeout = TimeSpan.FromMilliseconds(settings.StallTimeoutMs),
            LoggerFactory = new StandardErrorLog(),
            Probe = point =>
            {
                if (point == "receive:Welcome")
                {
                    Report.Line("registered");
                }
                else if (settings.ReportHeartbeats && point == "receive:Heartbeat")
                {
                    Report.Line("heartbeat");
                }

                faults.Pass(point);
            },
        });
        await using (communicator)
        {
            var rounds = new Rounds(communicator, settings);
            using var leaving = PosixSignalRegistration.Create(PosixSignal.SIGTERM, context =>
            {
                context.Cancel = true;
                rounds.Leave();
                _ = communicator.DisposeAsync().AsTask();
            });
            var input = ReadInput(rounds, faults);
            try
            {
                OwnLimits.Apply(settings);
                await TakePart(communicator, rounds, settings);
            }
            catch (BrokenPromiseException e)
            {
                Report.Line($"BROKEN {e.Message}");
                return Broken;
            }
            catch (Exception e) when (rounds.Leaving && e is ObjectDisposedException or CollectiveException { Code: ErrorCode.NotConnected })
            {
                // What was pending when it left.
            }
            catch (CollectiveException e)
            {
                Report.Line($"FAILED {e.Code} {e.Message}");
                return Failed;
            }

            _ = input; // Ends with the process.
        }

        Report.Line("left");
        return 0;
    }

    private static async Task TakePart(Communicator communicator, Rounds rounds, Settings settings)
    {
        while (true)
        {
            try
            {
                await communicator.ConnectAsync();
                Report.Line($"connected {communicator.Id} epoch {communicator.World.Epoch} world {communicator.World.WorldSize}");
                await (settings.SyncBytes > 0 ? new OneSync(communicator, settings).Run() : rounds.Run());
                return;
            }
            catch (CollectiveException e) when (settings.Rejoin && e.Code is ErrorCode.Evicted or ErrorCode.MasterLost or ErrorCode.MasterUnreachable)
            {
                Report.Line($"LOST {e.Code} {e.Message}");
            }
        }
    }

    private static Task ReadInput(Rounds rounds, Faults faults) => Task.Run(() =>
    {
        while (Console.In.ReadLine() is { } line)
        {
            if (line == "stop")
            {
                rounds.AskToStop();
            }
            else if (line == "release")
            {
                faults.Release();
            }
            else if (line == "go")
            {
                faults.Arm();
                rounds.Go();
            }
        }
    });
}
